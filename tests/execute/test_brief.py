"""What a writer is given fits what it holds, the least trusted drafts left out first."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emafusion.catalog import tokens
from emafusion.execute import Ask, Ledger, Limits, Trial
from emafusion.execute.brief import brief, fitting
from emafusion.judge import CalibratedPanel
from emafusion.types import (
    Completion,
    Draft,
    Forecast,
    Model,
    Plan,
    Request,
    Synthesis,
    Usage,
    content_text,
)

ASKED = Request(id="r", messages=({"role": "user", "content": "Why do rivers bend?"},))
DRAFTS = [f"{name} " + f"The {name} bank wears away faster. " * 40 for name in ("outer", "inner")]
THIRD = "left " + "The left bank is made of clay. " * 40


class Clock:
    """A clock that stands still."""

    def now(self) -> float:
        return 0.0

    def tick(self) -> float:
        return 0.0


def said(window: int | None, drafts: list[str], confidences: list[float]) -> str | None:
    found = fitting(ASKED, drafts, confidences=confidences, window=window)
    return None if found is None else content_text(found[-1])


def test_all_drafts_are_shown_where_there_is_room() -> None:
    for window in (None, 100_000):
        told = said(window, [*DRAFTS, THIRD], [0.5, 0.5, 0.5])
        assert told is not None
        assert all(text.strip() in told for text in (*DRAFTS, THIRD))
        assert "left out" not in told


@pytest.mark.parametrize("least", [0, 1, 2])
def test_the_least_trusted_draft_goes_first_and_the_writer_is_told(least: int) -> None:
    drafts = [*DRAFTS, THIRD]
    whole = said(None, drafts, [0.5, 0.5, 0.5])
    assert whole is not None
    confidences = [0.6, 0.6, 0.6]
    confidences[least] = 0.2
    told = said(tokens.count(whole) - 100, drafts, confidences)
    assert told is not None
    assert [text.strip() in told for text in drafts] == [place != least for place in range(3)]
    assert "stand 2 drafts" in told
    assert "1 more, less trusted, was left out" in told


def test_the_last_two_are_shortened_and_the_cut_is_marked() -> None:
    told = said(600, [*DRAFTS, THIRD], [0.6, 0.5, 0.1])
    assert told is not None
    assert told.count("[… left out …]") == 2
    assert "The left bank" not in told


def test_there_is_no_chat_where_not_even_two_shortened_drafts_fit() -> None:
    assert said(300, DRAFTS, [0.5, 0.5]) is None


def test_what_the_writers_own_system_prompt_takes_is_left_free() -> None:
    """The window is such that a chat fits beside the answer, and a system prompt no longer."""
    assert drafted("") is not None
    assert drafted("Be of good cheer. " * 60) is None


def drafted(system: str) -> str | None:
    """Who writes where the one writer has the `system` prompt, and room for little else."""
    told = fitting(ASKED, DRAFTS, confidences=[0.5, 0.5], window=600)
    assert told is not None
    writer = Model(
        name="w",
        provider="p",
        upstream="w",
        usd_per_mtok_in=1.0,
        usd_per_mtok_out=1.0,
        context_window=600 + max(map(tokens.count, DRAFTS)),
        system=system,
    )
    ask = Ask(
        request=ASKED,
        forecast=Forecast(estimates=()),
        plan=Plan(
            arrangement=Synthesis(panel=("a", "b"), writer="w"),
            quality=0.5,
            cost_usd=0.0,
            latency_s=1.0,
        ),
        models=(writer,),
    )
    work = Trial(
        ask,
        port=Ledger({}, {}, clock=Clock(), limits=Limits()),
        panel=CalibratedPanel(),
    )
    work.drafts = [
        Draft(
            model=name,
            completion=Completion(text=text, usage=Usage()),
            cost_usd=0.0,
            latency_s=0.0,
        )
        for name, text in zip("ab", DRAFTS, strict=True)
    ]
    return brief(work, ("w",), [0.5, 0.5])


@settings(max_examples=30, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 4000), min_size=2, max_size=5),
    window=st.integers(200, 4000),
    data=st.data(),
)
def test_what_is_given_never_exceeds_the_window(
    lengths: list[int], window: int, data: st.DataObject
) -> None:
    confidences = [data.draw(st.floats(0, 1)) for _ in lengths]
    drafts = [("word " * length)[:length] for length in lengths]
    found = fitting(ASKED, drafts, confidences=confidences, window=window)
    assert found is None or tokens.count_messages(found) <= window
