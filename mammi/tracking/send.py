"""One finished run to W&B, or beside it where there is no key. The only module that imports wandb."""
import netrc
import os
import shutil
from importlib import metadata
from urllib.parse import urlsplit

from mammi.errors import BadInput, MissingAsset
from mammi.offline import go_offline
from mammi.tracking.record import records

MODES = ("online", "offline")
SECONDS = 30  # for W&B's answer to the beginning of a run, and to its end
# What wandb would gather by itself: host, user, program and its arguments, git remote, code, requirements, machine,
# terminal output. What stays: its own version, Python's, the operating system.
NOTHING_ELSE = {"x_disable_meta": True, "x_disable_stats": True, "x_disable_machine_info": True,
                "x_save_requirements": False, "disable_git": True, "disable_code": True, "save_code": False,
                "disable_job_creation": True, "console": "off", "host": "", "username": "", "email": "", "program": "",
                "program_relpath": "", "program_abspath": "", "docker": "", "symlink": False, "silent": True}


def mirror(folders, project="mammi", entity=None, mode=None, images=False, group=None, tags=(), artifact=True):
    """Send each finished run at or below ``folders``, a W&B run each; yield a line for the user on each.

    mode  ``online``, ``offline`` (into RUN/wandb, for ``wandb sync``), or None: WANDB_MODE, else online with a key

    A run that is mirrored again replaces RUN/wandb and keeps its W&B id. :class:`MissingAsset` without wandb.
    """
    found = [record for folder in folders for record in records(folder, images)]
    if mode == "offline":
        go_offline()
    os.environ["WANDB_ERROR_REPORTING"] = "false"
    for key in ("WANDB_USERNAME", "WANDB_USER_EMAIL"):  # a part of wandb reads them past its settings
        os.environ.pop(key, None)
    try:
        import wandb
    except ImportError as error:
        raise MissingAsset(f"wandb cannot be imported ({error}): pip install 'wandb>=0.31'") from error
    if mode is None and os.environ.get("WANDB_MODE") == "disabled":
        yield "W&B: nothing sent, WANDB_MODE=disabled"
        return
    mode = which(mode, os.environ.get("WANDB_MODE"), has_key(wandb.Settings().base_url))
    if mode == "offline":
        go_offline()
    for record in found:
        yield _send(wandb, record, project, entity, mode, group, tags, artifact)


def which(asked, told, key):
    """``online`` or ``offline``: what was asked, else what WANDB_MODE says, else whether there is a key."""
    mode = asked or told or ("online" if key else "offline")
    if mode not in MODES:
        raise BadInput(f"{'tracking.mode' if asked else 'WANDB_MODE'}={mode}: expected {' or '.join(MODES)}")
    if mode == "online" and not key:
        raise MissingAsset("W&B has no key here: set WANDB_API_KEY or run `wandb login`; or tracking.mode=offline")
    return mode


def has_key(url):
    """Whether WANDB_API_KEY, WANDB_IDENTITY_TOKEN_FILE or the netrc file has a key for the server at ``url``."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(urlsplit(url).hostname or "") is not None
    except (OSError, netrc.NetrcParseError):
        return False


def _send(wandb, record, project, entity, mode, group, tags, artifact):
    folder = record.folder / "wandb"
    shutil.rmtree(folder, ignore_errors=True)
    for key in ("WANDB_DATA_DIR", "WANDB_CACHE_DIR"):
        os.environ[key] = str(folder / ".staged")
    settings = wandb.Settings(mode=mode, root_dir=str(record.folder), init_timeout=SECONDS, finish_timeout=SECONDS,
                              finish_timeout_raises=True, **_known(wandb))
    try:
        run = wandb.init(project=project, entity=entity, id=record.key, resume="allow" if mode == "online" else None,
                         name=record.name, group=group or record.group, job_type=record.job_type, notes=record.notes,
                         tags=[record.kind, *tags], config=record.config, settings=settings)
        run.summary.update(record.summary)
        logged = {f"pictures/{name}": wandb.Image(str(path)) for name, path in record.pictures.items()}
        if record.table:
            name = "models" if record.job_type == "micn" else "neurons"
            logged[name] = wandb.Table(columns=record.table[0], data=record.table[1])
        if logged:
            run.log(logged)
        if artifact:
            files = wandb.Artifact(f"run-{record.key}", type=record.job_type)
            for name, data in record.files.items():
                with files.new_file(name, mode="wb") as file:
                    file.write(data)
            run.log_artifact(files)
        run.finish()
    except wandb.Error as error:
        raise BadInput(f"W&B: {str(error).rstrip('.')}") from error
    if mode == "online":
        return f"W&B: {run.url}"
    return f"W&B, offline: wandb sync {run.settings.sync_dir}"


def _known(wandb):
    """:data:`NOTHING_ELSE`; :class:`MissingAsset` where this wandb cannot be kept from gathering."""
    lacking = [key for key in NOTHING_ELSE if key not in wandb.Settings.model_fields]
    if lacking:
        raise MissingAsset(f"wandb {metadata.version('wandb')} has no setting {lacking[0]}, so it would gather what is "
                           "not to leave this machine: pip install 'wandb>=0.31'")
    return NOTHING_ELSE
