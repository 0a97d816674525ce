import pytest

from mammi import progress


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_fast_work_shows_nothing(clock, capsys):
    assert list(progress.track(range(5), "work")) == list(range(5))
    assert capsys.readouterr().err == "" and not progress._shown


def test_slow_work_shows_one_bar_whatever_happens_inside(clock, capsys):
    for _ in progress.track(range(3), "outer", unit=10, total=25):
        clock[0] += 3
        for _ in progress.track(range(2), "inner"):
            clock[0] += 3 if progress._shown else 0
    text = capsys.readouterr().err
    assert "outer" in text and "25/25" in text and "inner" not in text and not progress._shown


def test_an_error_inside_removes_the_bar(clock, capsys):
    with pytest.raises(RuntimeError):
        for step in progress.track(range(3), "work"):
            clock[0] += 3
            if step == 2:
                raise RuntimeError
    import gc

    gc.collect()
    assert not progress._shown
