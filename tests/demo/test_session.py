"""The demo from the first question to the verdict, on scripted models."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from demo.staged import LARGE, SMALL, client, sums, write_questions
from emafusion import __version__
from emafusion.demo import questions, recorded, report
from emafusion.demo.play import PARAMS
from emafusion.demo.screen import Screen
from emafusion.demo.session import Session, Wanted
from emafusion.errors import RejectedError, UnavailableError
from emafusion.testing import ScriptedProvider
from emafusion.types import Call, Model

ABOUT = {"date": "2026-01-02", "commit": "abc1234", "machine": "a test"}


class Shown:
    """A session and the text it showed, `width` columns wide."""

    def __init__(
        self,
        folder: Path,
        script: Callable[[Call], str] = sums,
        *,
        wanted: Wanted | None = None,
        recording: recorded.Recorded | None = None,
        width: int = 80,
        terminal: bool = False,
    ) -> None:
        self.out = io.StringIO()
        self.provider = ScriptedProvider(script)
        entries = questions.load(write_questions(folder / "questions.toml"))
        wanted = wanted or Wanted()
        self.session = Session(
            client(self.provider),
            questions.choose(entries, full=wanted.full),
            screen=Screen(Console(file=self.out, width=width, force_terminal=terminal)),
            wanted=wanted,
            recorded=recording,
        )

    async def run(self) -> str:
        await self.session.run()
        self.session.conclude()
        return self.out.getvalue()


async def test_a_full_run_asks_everyone_everything_and_adds_up(tmp_path: Path) -> None:
    shown = Shown(tmp_path, wanted=Wanted(full=True))
    text = await shown.run()
    rows = shown.session.rows
    assert [row.score for row in rows] == [1.0] * 6
    assert [row.escalated for row in rows] == [False] * 3 + [True] * 3
    assert [row.tried for row in rows] == [("small",)] * 3 + [("small", "large")] * 3
    assert [row.singles["small"].score for row in rows] == [1.0] * 3 + [0.0] * 3
    for row in rows:
        for attempt in (row, *row.singles.values()):
            assert attempt.cost_usd == pytest.approx(sum(call.cost_usd for call in attempt.calls))
            assert not attempt.recorded
    assert all(call.params == PARAMS for call in shown.provider.calls)
    assert "small → large" not in text
    assert "A→B" in text
    assert "6/6" in text and "3/6" in text
    assert "At least as many right as the best single model" in text
    assert shown.provider.closed


async def test_a_short_run_compares_with_the_recording_and_says_so(tmp_path: Path) -> None:
    full = Shown(tmp_path, wanted=Wanted(full=True))
    await full.run()
    recording = recorded.record(full.session.rows, about=ABOUT, params=PARAMS)
    recorded.save(recording, tmp_path / "recorded.json")
    again = msgspec.json.decode((tmp_path / "recorded.json").read_bytes(), type=recorded.Recorded)

    shown = Shown(tmp_path, recording=again)
    text = await shown.run()
    assert len(shown.session.rows) == 3
    assert {call.model.name for call in shown.provider.calls} == {"small", "large"}
    assert len(shown.provider.calls) == 4
    before = {row.id: row.singles for row in full.session.rows}
    for row in shown.session.rows:
        for name, attempt in row.singles.items():
            assert attempt.recorded
            assert attempt.score == before[row.id][name].score
            assert attempt.cost_usd == pytest.approx(before[row.id][name].cost_usd)
    assert "large *" in text
    assert "recorded 2026-01-02 at commit abc1234 on a test" in " ".join(text.split())
    assert "(recorded)" in text


async def test_the_report_names_ours_and_holds_every_call(tmp_path: Path) -> None:
    shown = Shown(tmp_path, wanted=Wanted(full=True, prefer=0.7))
    await shown.run()
    path = tmp_path / "out.json"
    report.save(shown.session.report(__version__), path)
    found = msgspec.json.decode(path.read_bytes())
    assert set(found["summary"]) == {"emafusion", "small", "large"}
    ours = found["summary"]["emafusion"]
    costs = [sum(call["cost_usd"] for call in row["calls"]) for row in found["rows"]]
    assert ours["cost_usd"] == pytest.approx(sum(costs) / 6)
    assert ours["accuracy"] == 1.0
    assert ours["escalated"] == 0.5
    assert ours["latency_s"] > 0
    assert found["complete"] is True
    assert found["run"]["prefer"] == 0.7
    assert found["verdict"]["comparison"]["best"] == "large"


async def test_a_question_nobody_can_answer_is_wrong_and_the_demo_goes_on(tmp_path: Path) -> None:
    def moody(call: Call) -> str:
        if "What is 2 +" in str(call.messages):
            raise RejectedError("not this one", call.model.name)
        return sums(call)

    shown = Shown(tmp_path, moody, wanted=Wanted(full=True))
    text = await shown.run()
    lost = shown.session.rows[2]
    assert lost.score == 0.0
    assert lost.error is not None
    assert lost.singles["large"].error == "not this one"
    assert "no answer: " in text
    assert [row.score for row in shown.session.rows] == [1, 1, 0, 1, 1, 1]


async def test_without_a_model_it_says_so(tmp_path: Path) -> None:
    shown = Shown(tmp_path)
    await shown.provider.aclose()
    with pytest.raises(UnavailableError, match="the demo has no model to ask"):
        await shown.run()


async def test_a_model_that_cannot_be_loaded_is_left_out(tmp_path: Path) -> None:
    class Partly(ScriptedProvider):
        async def prepare(self, model: Model) -> None:
            if model.name == "large":
                raise UnavailableError("'large' is damaged", model.name)

    out = io.StringIO()
    entries = questions.load(write_questions(tmp_path / "q.toml"))
    screen = Screen(Console(file=out, width=80))
    session = Session(client(Partly(sums)), entries, screen=screen, wanted=Wanted(full=True))
    await session.run()
    session.conclude()
    assert "going on without large: 'large' is damaged" in out.getvalue()
    assert session.complete
    assert {name for row in session.rows for name in row.singles} == {"small"}
    assert "stopped" not in out.getvalue()


async def test_an_interrupted_run_keeps_and_shows_what_is_done(tmp_path: Path) -> None:
    shown = Shown(tmp_path, wanted=Wanted(full=True))

    def stop(call: Call) -> str:
        if "What is 2 +" in str(call.messages):
            task.cancel()
        return sums(call)

    shown.provider._script = stop
    task = asyncio.create_task(shown.session.run())
    with pytest.raises(asyncio.CancelledError):
        await task
    shown.session.conclude()
    assert len(shown.session.rows) < 6
    assert "stopped after" in shown.out.getvalue()
    assert "No verdict" in shown.out.getvalue()
    assert shown.session.report(__version__).complete is False
    assert shown.provider.closed


@pytest.mark.parametrize("width", [60, 80, 132, 200])
@pytest.mark.parametrize("terminal", [False, True])
async def test_nothing_is_wider_than_the_terminal(
    tmp_path: Path, width: int, terminal: bool
) -> None:
    shown = Shown(tmp_path, wanted=Wanted(full=True), width=width, terminal=terminal)
    text = await shown.run()
    assert ("\x1b" in text) is terminal
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "\n", text)
    assert max(len(line) for line in plain.splitlines()) <= width


async def test_the_small_and_the_large_are_named_cheapest_first(tmp_path: Path) -> None:
    text = await Shown(tmp_path).run()
    assert text.index(f"A {SMALL.name}") < text.index(f"B {LARGE.name}")
