"""Fifty collections killed over real HTTP: nothing is paid twice, no outcome is lost."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from pathlib import Path

import pytest

from emafusion.learn.journal import Answered, Asked, Failed, Journal
from emafusion.testing.upstream import Upstream
from emafusion.types import content_text
from learn.collecting import CHEAP, DEAR, sums
from learn.killing import PER_MODEL, QUESTIONS

pytest.importorskip("pyarrow")

KILLS = 50


@pytest.mark.skipif(sys.platform == "win32", reason="kills by signal")
async def test_fifty_kills_pay_for_nothing_twice_and_lose_nothing(tmp_path: Path) -> None:
    prompts = {question.prompt: question.id for question in sums(QUESTIONS)}
    async with Upstream(lambda _: "7") as upstream:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "learn.killing"),
            *(str(tmp_path), upstream.base_url, str(KILLS)),
            cwd=Path(__file__).parents[1],
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        told, complaints = await process.communicate()
        assert process.returncode == 0, complaints.decode()
        assert int(told) >= KILLS - 5
        billed = Counter(
            (prompts[content_text(seen.body["messages"][-1])], str(seen.body["model"]))  # type: ignore[index]  # a list of messages
            for seen in upstream.seen
        )
    with Journal(tmp_path) as journal:
        rows = list(journal.rows())
    names = {CHEAP.name: CHEAP.upstream, DEAR.name: DEAR.upstream}
    answered = Counter((row.query_id, names[row.model]) for row in rows if type(row) is Answered)
    assert len(answered) == 2 * QUESTIONS
    assert set(answered.values()) == {1}
    assert not [row for row in rows if isinstance(row, Failed)]
    # What was billed beyond an answer was under way at a kill, and is accounted for as such.
    open_ended = (
        Counter((row.query_id, names[row.model]) for row in rows if isinstance(row, Asked))
        - answered
    )
    assert not (billed - answered) - open_ended
    assert (billed - answered).total() <= KILLS * 2 * PER_MODEL
    assert billed.total() < 2 * answered.total()
