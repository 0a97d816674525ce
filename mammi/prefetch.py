"""Loading while something else computes."""
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

AHEAD = 1  # steps that are loaded before they are asked for: that many more batches are held in memory


def ahead(load, steps):
    """Iterate ``load(step)`` in the order of ``steps``; while one is worked on, a thread loads the next.

    What ``load`` raises is raised where its result is asked for. Once the caller stops iterating (Ctrl-C, an error)
    nothing new is begun.
    """
    steps, waiting = iter(steps), deque()
    pool = ThreadPoolExecutor(1, "ahead")
    try:
        for step in islice(steps, AHEAD):
            waiting.append(pool.submit(load, step))
        while waiting:
            loaded = waiting.popleft().result()
            for step in islice(steps, 1):
                waiting.append(pool.submit(load, step))
            yield loaded
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
