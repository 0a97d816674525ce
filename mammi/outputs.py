"""The run folder is tried before Hydra makes it, so that one that cannot be made is told in a line."""
import os
from pathlib import Path


class CheckOutputs:
    """A callback that Hydra calls by these names (``hydra.callbacks`` in ``conf/config.yaml``), once a command."""

    def on_run_start(self, config, **_):
        self._check(config.paths.outputs, config.hydra.run.dir)

    def on_multirun_start(self, config, **_):
        self._check(config.paths.outputs, config.hydra.sweep.dir)

    def _check(self, outputs, folder):
        try:
            if outputs is None:
                raise NotADirectoryError("no folder is named")
            Path(folder).mkdir(parents=True, exist_ok=True)
            if not os.access(folder, os.W_OK):
                raise PermissionError(f"{folder} is not writable")
        except OSError as error:  # an exception of ours would only become a warning of Hydra's
            raise SystemExit(f"\nBadInput: paths.outputs={outputs} cannot be used ({error}): give another folder, "
                             "paths.outputs=FOLDER") from error

    def _pass(self, **_):
        """What else Hydra calls."""

    on_run_end = on_multirun_end = on_job_start = on_job_end = _pass
