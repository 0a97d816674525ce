import threading

import pytest

from mammi.prefetch import AHEAD, ahead


def test_the_order_is_kept_and_each_step_is_loaded_once():
    seen = []
    assert list(ahead(lambda step: seen.append(step) or step * 10, range(20))) == [step * 10 for step in range(20)]
    assert seen == list(range(20)) and list(ahead(str, [])) == []


def test_the_next_step_is_loaded_in_a_thread_while_the_caller_works():
    seen, begun = [], [threading.Event() for _ in range(5)]

    def load(step):
        begun[step].set()
        seen.append(threading.current_thread())
        return step

    for step in ahead(load, range(5)):
        assert all(event.wait(10) for event in begun[:step + 1 + AHEAD]), "while this step is worked on"
        assert not any(event.is_set() for event in begun[step + 1 + AHEAD:]), "no more than that is held in memory"
    assert threading.main_thread() not in seen and len(set(seen)) == 1


def test_an_error_is_raised_where_its_result_is_asked_for():
    def load(step):
        if step == 2:
            raise OSError("half a file")
        return step

    got, loaded = [], ahead(load, range(5))
    with pytest.raises(OSError, match="half a file"):
        for step in loaded:
            got.append(step)
    assert got == [0, 1] and list(loaded) == []


def test_a_caller_that_stops_waits_for_nothing():
    release, done, seen = threading.Event(), threading.Event(), []

    def load(step):
        seen.append(step)
        if step:
            release.wait(20)
            done.set()
        return step

    loaded = ahead(load, range(50))
    next(loaded)
    loaded.close()
    assert not done.is_set(), "the step that is being loaded is not waited for"
    release.set()
    assert seen in ([0], [0, 1])
