"""A task that fails is told of once, and ends neither itself nor the others."""

from __future__ import annotations

import threading

import pytest

from emafusion.config.beat import Beat
from emafusion.errors import ArtefactError


def test_a_failing_task_is_told_of_once_and_all_go_on(caplog: pytest.LogCaptureFixture) -> None:
    times: list[int] = []
    others: list[int] = []
    enough = threading.Event()

    def fail() -> None:
        times.append(len(times))
        raise ArtefactError("it is damaged")

    def watch() -> None:
        others.append(len(others))
        if len(times) >= 3 and len(others) >= 3:
            enough.set()

    beat = Beat([fail, watch], every_s=0.001).start()
    assert enough.wait(5.0)
    beat.stop()
    assert [record.message for record in caplog.records] == ["it is damaged"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_defect_ends_its_own_task_and_no_other() -> None:
    times: list[int] = []
    enough = threading.Event()

    def fail() -> None:
        times.append(len(times))
        raise KeyError("mean")

    def watch() -> None:
        if times:
            enough.set()

    beat = Beat([fail, watch], every_s=0.001).start()
    assert enough.wait(5.0)
    beat.stop()
    assert times == [0]


def test_a_stopped_beat_does_nothing_more() -> None:
    times: list[int] = []
    begun = threading.Event()

    def count() -> None:
        times.append(len(times))
        begun.set()

    beat = Beat([count], every_s=0.001).start()
    assert begun.wait(5.0)
    beat.stop()
    before = len(times)
    threading.Event().wait(0.02)
    assert len(times) == before
