"""``tracking=wandb``: a finished run's folder is mirrored; whatever happens there, the run stands."""
import logging
import subprocess
import sys
import tempfile

from mammi.errors import BadInput, near, number
from mammi.offline import is_offline
from mammi.tracking.send import MODES

REASON = 400  # characters
log = logging.getLogger(__name__)


class WandbMirror:
    """Calls ``python -m mammi mirror`` as a process of its own: nothing of W&B enters the run, and it can be ended.

    project, entity  where the runs go; entity None: W&B's default of the key
    mode             ``online``, ``offline``, or None: WANDB_MODE, else online where there is a key
    images           also send what shows or names images of the probing set; see :mod:`mammi.tracking.record`
    group            None: the sweep's folder name
    tags             beside ``synthetic`` or ``real``
    artifact         also send annotations.csv, neurons.csv and metrics.json as files
    timeout          seconds after which the run goes on without it
    """

    def __init__(self, project="mammi", entity=None, mode=None, images=False, group=None, tags=(), artifact=True,
                 timeout=120):
        if mode is not None and mode not in MODES:
            raise BadInput(f"tracking.mode={mode}: {near(str(mode), MODES)} Or null: online where there is a key")
        for name, value in (("images", images), ("artifact", artifact)):
            if not isinstance(value, bool):
                raise BadInput(f"tracking.{name}={value}: expected true or false")
        self.timeout, self.mode = number("tracking.timeout", timeout, 1), mode
        texts = {"--project": project, "--entity": entity, "--group": group}
        self.arguments = [f"{flag}={value}" for flag, value in texts.items() if value is not None]
        self.arguments += [f"--tag={tag}" for tag in tags]
        self.arguments += ["--images"] * images + ["--no-artifact"] * (not artifact)

    def __call__(self, folder):
        """Mirror the finished run in ``folder``; in words to the log how that went."""
        mode = "offline" if is_offline() else self.mode
        command = [sys.executable, "-m", "mammi", "mirror", str(folder), *self.arguments]
        command += [f"--mode={mode}"] * (mode is not None)
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:  # a pipe could outlive the end
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
            try:
                failed = child.wait(self.timeout) != 0
                late = False
            except subprocess.TimeoutExpired:
                failed = late = True
            finally:
                child.kill()
                child.wait()
            said.seek(0)
            lines = [line.strip() for line in said if line.strip()] or ["no word why"]
        if failed:
            why = f"not done within tracking.timeout={self.timeout} seconds" if late else _reason(lines)
            log.warning("W&B did not get this run: %s. Nothing is lost; later: python -m mammi mirror %s", why, folder)
        else:
            log.info(lines[-1])


def _reason(lines):
    """What a command that failed said: our error with the lines below it, or the last line of a traceback."""
    ours = [i for i, line in enumerate(lines) if line.startswith(("BadInput: ", "MissingAsset: "))]
    return " ".join(lines[ours[0]:])[:REASON] if ours else lines[-1]
