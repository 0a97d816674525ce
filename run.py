"""One run: compose the config, build what the task asks for, leave the results in the run folder."""
import inspect
import os
import sys
import traceback
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import InstantiationException
from hydra.types import RunMode
from hydra.utils import get_method, instantiate
from omegaconf import OmegaConf

from mammi.errors import BadInput, MammiError, MissingAsset, near, number
from mammi.offline import go_offline
from mammi.sweep import fail


@hydra.main(config_path="conf", config_name="config", version_base="1.3")
def main(cfg):
    job = HydraConfig.get()
    try:
        prepare(cfg, job.runtime.choices.task)
        mirror = instantiate(cfg.tracking) if cfg.tracking else None  # its bad options stop the run before the work
        task = get_method(cfg.task._target_)
        asked = inspect.signature(task).parameters
        if unknown := [key for key in cfg.task if key != "_target_" and key not in asked]:
            raise BadInput(f"task.{unknown[0]}: {task.__name__} has no such option. {near(unknown[0], asked)}")
        task(**build_all(cfg, asked))
        if mirror:
            mirror(job.runtime.output_dir)
    except Exception as error:
        taught = teach(error) if behind(error) else None
        fail(job.runtime.output_dir, error, taught)
        if job.mode == RunMode.MULTIRUN:  # the other jobs go on
            print(taught or traceback.format_exc(), file=sys.stderr)
        elif taught:
            sys.exit(taught)
        else:
            raise


def prepare(cfg, task):
    """Check what concerns the run as a whole; ``task`` is the option's name."""
    number("seed", cfg.seed, 0, whole=True)
    number("batch_size", cfg.batch_size, 1, whole=True)
    for key in ("offline", "skip_done"):
        if not isinstance(cfg[key], bool):
            raise BadInput(f"{key}={cfg[key]}: expected true or false")
    if cfg.skip_done and task != "annotate":
        raise BadInput(f"skip_done=true is for task=annotate, got task={task}")
    if cfg.offline:
        go_offline()
    if cfg.device != "cpu":
        from mammi.devices import check_device

        check_device(cfg.device)


def build_all(cfg, names):
    """{name: what it stands for}; files that several of them lack are named in one error."""
    built, missing = {}, []
    for name in names:
        try:
            built[name] = build(cfg, name)
        except Exception as error:
            if not isinstance(behind(error), MissingAsset):
                raise
            missing.append(str(behind(error)))
    if missing:
        missing.append("What every option needs, and what of it is here: python -m mammi assets")
        raise MissingAsset("\n\n".join(dict.fromkeys(missing)))
    return built


def build(cfg, name):
    """What a task's parameter ``name`` stands for: the cache, the run folder, a key of the task, a config group."""
    if name == "cache":
        from mammi.cache import Cache

        try:
            Path(cfg.paths.cache).mkdir(parents=True, exist_ok=True)
            if not os.access(cfg.paths.cache, os.W_OK):
                raise PermissionError("not writable")
        except (OSError, TypeError) as error:
            raise BadInput(f"paths.cache={cfg.paths.cache} cannot be used ({error}): give another folder") from error
        return Cache(cfg.paths.cache)
    if name == "out":
        from mammi.run_folder import RunFolder

        job = HydraConfig.get()
        earlier = cfg.paths.outputs if cfg.skip_done else None
        return RunFolder(job.runtime.output_dir, cfg.name, OmegaConf.to_container(job.runtime.choices),
                         list(job.overrides.task), cfg.seed, settings(cfg), earlier)
    value = cfg.task[name] if name in cfg.task else cfg[name]
    if not OmegaConf.is_config(value):
        return value
    if empty := sorted(OmegaConf.missing_keys(value)):
        raise MissingAsset(f"{empty[0]} has no value: give {empty[0]}=...")
    return instantiate(value)


def settings(cfg):
    """What the config says about a run's numbers; where its files are kept and how fast it runs does not matter."""
    from mammi.done import APART

    same = OmegaConf.merge(cfg, {"device": "", "batch_size": 0, "paths": {"outputs": "", "cache": ""}})
    return {key: value for key, value in OmegaConf.to_container(same, resolve=True).items() if key not in APART}


def teach(error):
    """The message of what is :func:`behind` ``error``, without a traceback; anything else is raised on."""
    cause = behind(error)
    if cause is None:
        raise error
    where = "" if isinstance(cause, MammiError) else ". Next: conf/GROUP/OPTION.yaml lists what an option takes"
    return f"\n{type(cause).__name__}: {cause}{where}"


def behind(error):
    """What the user can mend in ``error`` or in what it was raised from: a :class:`MammiError`, or an unknown key.

    ``__context__`` does not count: an error raised while another was handled is a bug of its own.
    """
    wrapped = False
    while error is not None and not isinstance(error, MammiError):
        # Hydra's call is the only frame: the arguments did not fit, the code behind them never ran.
        if wrapped and isinstance(error, TypeError) and len(traceback.extract_tb(error.__traceback__)) == 1:
            return error
        wrapped, error = isinstance(error, InstantiationException), error.__cause__
    return error


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("\nInterrupted. What was computed is in the cache: the same command goes on from there, and with "
              "skip_done=true a sweep does not run its finished jobs again.", file=sys.stderr)
        sys.exit(130)
