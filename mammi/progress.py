"""A progress bar on anything that takes over two seconds; silence on what does not."""
import sys
import time

PATIENCE = 2.0  # seconds
_shown = []     # the bar on screen: one at a time, so that what a step does inside stays silent


def track(steps, what, unit=1, total=None):
    """Iterate ``steps`` (each worth ``unit`` items of ``total``); a bar appears after two seconds."""
    steps = list(steps)
    total = len(steps) * unit if total is None else total
    begun, bar = time.monotonic(), None
    try:
        for done, step in enumerate(steps):
            if bar is None and not _shown and time.monotonic() - begun > PATIENCE:
                bar = _bar(what, total)
                _shown.append(bar)
            if bar is not None:
                bar.update(bar.task_ids[0], completed=min(done * unit, total))
            yield step
        if bar is not None:
            bar.update(bar.task_ids[0], completed=total)
    finally:
        if bar is not None:
            bar.stop()
            _shown.remove(bar)


def _bar(what, total):
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    bar = Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
                   console=Console(file=sys.stderr))
    bar.start()
    bar.add_task(what, total=total)
    return bar
