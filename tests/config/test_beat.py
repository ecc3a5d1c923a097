"""A task that fails is told of once, and ends neither itself nor the others."""

from __future__ import annotations

import threading

import pytest

from emafusion.config.beat import Beat
from emafusion.errors import ArtefactError


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ArtefactError("it is damaged"), "it is damaged"),
        (KeyError("mean"), "KeyError: 'mean'"),
        (NotADirectoryError("policies"), "NotADirectoryError: policies"),
    ],
)
def test_a_failing_task_is_told_of_once_and_all_go_on(
    error: Exception, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    times: list[int] = []
    enough = threading.Event()

    def fail() -> None:
        times.append(len(times))
        raise error

    def watch() -> None:
        if len(times) >= 3:
            enough.set()

    beat = Beat([fail, watch], every_s=0.001).start()
    assert enough.wait(5.0)
    beat.stop()
    assert [record.message for record in caplog.records] == [said]
