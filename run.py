"""One run: compose the config, build what the task asks for, leave the results in the run folder."""
import inspect
import sys

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.utils import get_method, instantiate
from omegaconf import OmegaConf

from mammi.errors import MammiError, MissingAsset


@hydra.main(config_path="conf", config_name="config", version_base="1.3")
def main(cfg):
    try:
        task = get_method(cfg.task._target_)
        task(**build_all(cfg, inspect.signature(task).parameters))
    except KeyboardInterrupt:
        print("\nInterrupted. What was computed is in the cache: the same command goes on from there.", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        sys.exit(teach(error))


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
        raise MissingAsset("\n\n".join(missing))
    return built


def build(cfg, name):
    """What a task's parameter ``name`` stands for: the cache, the run folder, a key of the task, a config group."""
    if name == "cache":
        from mammi.cache import Cache

        return Cache(cfg.paths.cache)
    if name == "out":
        from mammi.run_folder import RunFolder

        job = HydraConfig.get()
        return RunFolder(job.runtime.output_dir, cfg.name, OmegaConf.to_container(job.runtime.choices),
                         list(job.overrides.task), cfg.seed)
    value = cfg.task[name] if name in cfg.task else cfg[name]
    if not OmegaConf.is_config(value):
        return value
    if empty := sorted(OmegaConf.missing_keys(value)):
        raise MissingAsset(f"{name}.{empty[0]} has no value: give {name}.{empty[0]}=...")
    return instantiate(value)


def teach(error):
    """The message of the :class:`MammiError` behind ``error``, without a traceback; anything else is raised on."""
    cause = behind(error)
    if cause is None:
        raise error
    return f"\n{type(cause).__name__}: {cause}"


def behind(error):
    """The :class:`MammiError` that ``error`` is or comes from, or None."""
    while error is not None and not isinstance(error, MammiError):
        error = error.__cause__ or error.__context__
    return error


if __name__ == "__main__":
    main()
