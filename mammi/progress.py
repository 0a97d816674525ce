"""A progress bar on anything that takes over two seconds; silence on what does not."""
import sys
import time

PATIENCE = 2.0  # seconds


def track(steps, what, unit=1, total=None):
    """Iterate ``steps`` (each worth ``unit`` items of ``total``); a bar appears after two seconds."""
    steps = list(steps)
    total = len(steps) * unit if total is None else total
    begun, bar, task = time.monotonic(), None, None
    try:
        for done, step in enumerate(steps):
            if bar is None and time.monotonic() - begun > PATIENCE:
                bar, task = _bar(what, total)
            if bar is not None:
                bar.update(task, completed=min(done * unit, total))
            yield step
        if bar is not None:
            bar.update(task, completed=total)
    finally:
        if bar is not None:
            bar.stop()


def _bar(what, total):
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    bar = Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
                   console=Console(file=sys.stderr))
    bar.start()
    return bar, bar.add_task(what, total=total)
