"""Judging that is killed goes on, and pays for no verdict twice."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from emafusion.learn.journal import Answered, Journal
from emafusion.learn.labelling.opinions import FOLDER, read

from ..collecting import Bookkeeper
from .judging_child import PER_MODEL, QUERIES, judge, outcomes

pytest.importorskip("pyarrow")

CALLS = QUERIES * 3 * 2


def _killed(folder: Path, diary: Path, calls: int) -> None:
    """Have another process judge, and end it with ``kill -9`` after `calls` calls."""
    child = subprocess.Popen(
        [sys.executable, "-m", "learn.labelling.judging_child", str(folder), str(diary)],
        cwd=Path(__file__).parents[2],
    )
    deadline = time.monotonic() + 60
    while not diary.exists() or diary.read_text().count("judge\t") < calls:
        assert time.monotonic() < deadline, "the child never got going"
        assert child.poll() is None, "the child ended before it could be killed"
        time.sleep(0.01)
    child.kill()
    assert child.wait() == -signal.SIGKILL


@pytest.mark.skipif(sys.platform == "win32", reason="kills by signal")
async def test_killed_judging_goes_on_and_pays_for_no_verdict_twice(tmp_path: Path) -> None:
    folder, diary = tmp_path / "out", tmp_path / "diary"
    _killed(folder, diary, 20)
    _killed(folder, diary, 60)
    paid = diary.read_text().count("judge\t")
    with Journal(folder / FOLDER) as journal:
        kept = [row for row in journal.rows() if isinstance(row, Answered)]
    assert paid - 2 * PER_MODEL <= len(kept) <= paid

    provider = Bookkeeper(lambda _: "1")
    told = await judge(folder, provider)
    assert told.asked == len(provider.asked) == CALLS - len(kept)
    marks = [re.findall(r"<<(\w+)>>", prompt)[0] for _, prompt in provider.asked]
    assert len(set(marks)) == len(marks)
    assert read(folder, outcomes()).verdicts == QUERIES * 3
    again = await judge(folder, Bookkeeper(lambda _: "1"))
    assert again.asked == 0
