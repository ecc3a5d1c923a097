"""Decisions on record become outcomes to learn from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emafusion.evaluate.recorded import read
from emafusion.learn.traffic import export
from emafusion.record import Memory, Store
from emafusion.types import Feedback, Forecast, Labels, Model, Outcome, Piece, Step, Usage, replace

MODELS = (
    Model(name="small", provider="p", upstream="u", usd_per_mtok_in=1.0, usd_per_mtok_out=2.0),
    Model(name="large", provider="p", upstream="u", usd_per_mtok_in=3.0, usd_per_mtok_out=4.0),
)


def _step(model: str, text: str, **fields: object) -> Step:
    usage = Usage(prompt_tokens=9, completion_tokens=3)
    plain = Step(
        model=model, purpose="draft", cost_usd=0.001, latency_s=0.5, usage=usage, text=text
    )
    return replace(plain, **fields)


def _decision(name: str, prompt: str, *steps: Step, text: str = "51") -> Outcome:
    return Outcome(
        decision_id=name,
        created=1.0,
        prompt=prompt,
        labels=Labels(axes={"task": {"mathematical_reasoning": 1.0}}),
        forecast=Forecast(estimates=()),
        plan=None,
        steps=steps,
        verdicts=(),
        model="large",
        text=text,
        confidence=0.9,
        cost_usd=0.002,
        latency_s=1.0,
    )


def _said(name: str, score: float, caller: str = "a") -> Feedback:
    return Feedback(decision_id=name, score=score, created=3.0, caller=caller)


@pytest.fixture(params=["memory", "store"])
def record(request: pytest.FixtureRequest, tmp_path: Path) -> Memory | Store:
    return Memory() if request.param == "memory" else Store(tmp_path / "record.db")


async def test_opinions_score_the_answer_and_drafts_that_say_the_same(
    record: Memory | Store, tmp_path: Path
) -> None:
    steps = (_step("small", "15"), _step("large", "51"))
    await record.record(_decision("d1", "17 × 3?", *steps))
    await record.note(_said("d1", 1.0))
    await record.note(_said("d1", 0.5, "b"))
    told = await export(record, tmp_path / "out", MODELS)
    await record.aclose()
    assert (told.prompts, told.drafts, told.scored, told.passed_over) == (1, 2, 1, 0)
    found = read(tmp_path / "out")
    assert found.models == ("large", "small")
    assert found.scores[0, 0] == 0.75
    assert np.isnan(found.scores[0, 1])
    assert found.costs.tolist() == [[0.001, 0.001]]
    assert [draft.text for draft in found.drafts[0] if draft] == ["51", "15"]


async def test_equal_prompts_are_one_query_with_each_models_last_draft(
    record: Memory | Store, tmp_path: Path
) -> None:
    await record.record(_decision("d1", "17 × 3?", _step("small", "15"), text="15"))
    await record.record(_decision("d2", "17 × 3?", _step("small", "51")))
    await record.record(_decision("d3", "17 × 3?", _step("large", "51")))
    await record.note(_said("d1", 0.0))
    await record.note(_said("d2", 1.0))
    told = await export(record, tmp_path / "out", MODELS)
    await record.aclose()
    found = read(tmp_path / "out")
    assert (told.prompts, told.drafts) == (1, 2)
    assert found.scores[0, 1] == 1.0, "the opinion of an older draft is not the newer one's"


async def test_what_cannot_teach_is_passed_over_and_counted(
    record: Memory | Store, tmp_path: Path
) -> None:
    await record.record(_decision("d1", "17 × 3?", _step("large", "51")))
    await record.record(replace(_decision("d2", "a", _step("large", "b")), error="gone"))
    await record.record(_decision("d3", "", _step("large", "b")))
    await record.record(
        replace(_decision("d4", "a, b", _step("large", "c")), parts=(Piece(prompt="a", text="c"),))
    )
    judge = _step("large", "0.9", purpose="judge")
    await record.record(_decision("d5", "c", judge, _step("small", "", error="timeout")))
    told = await export(record, tmp_path / "out", MODELS)
    await record.aclose()
    assert (told.prompts, told.drafts, told.passed_over) == (1, 1, 3)


async def test_more_than_a_page_is_read_whole_and_splits_follow_the_prompt(
    record: Memory | Store, tmp_path: Path
) -> None:
    for number in range(600):
        await record.record(_decision(f"d{number}", f"{number} × 3?", _step("large", "51")))
    if isinstance(record, Store):
        await export(record, tmp_path / "first", MODELS)
        told = await export(record, tmp_path / "out", MODELS)
        assert told.prompts == 600
        assert read(tmp_path / "first").splits == read(tmp_path / "out").splits
        splits = read(tmp_path / "out").splits
        assert 0.6 < splits.count("train") / 600 < 0.8
    await record.aclose()
