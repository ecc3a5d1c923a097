"""Decisions on record become outcomes to learn from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from emafusion.evaluate.recorded import joined, read
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


def _decision(name: str, prompt: str, *steps: Step, text: str = "51", caller: str = "a") -> Outcome:
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
        caller=caller,
    )


def _said(name: str, score: float, *, caller: str = "a", day: int = 0) -> Feedback:
    return Feedback(decision_id=name, score=score, created=3.0 + 86_400.0 * day, caller=caller)


@pytest.fixture(params=["memory", "store"])
def record(request: pytest.FixtureRequest, tmp_path: Path) -> Memory | Store:
    return Memory() if request.param == "memory" else Store(tmp_path / "record.db")


async def test_opinions_score_the_answer_and_drafts_that_say_the_same(
    record: Memory | Store, tmp_path: Path
) -> None:
    steps = (_step("small", "15"), _step("large", "51"))
    for name, caller, score in (("d1", "a", 1.0), ("d2", "b", 0.5)):
        await record.record(_decision(name, "17 × 3?", *steps, caller=caller))
        await record.note(_said(name, score, caller=caller))
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


async def test_a_model_asked_by_name_does_not_unname_the_task(
    record: Memory | Store, tmp_path: Path
) -> None:
    """Nobody reads a text whose model is named: such a decision has no labels."""
    named = Labels(axes={})
    step = _step("large", "51")
    await record.record(_decision("d1", "17 × 3?", step))
    await record.record(replace(_decision("d2", "17 × 3?", step), labels=named))
    await record.record(replace(_decision("d3", "Dear all", step), labels=named))
    await export(record, tmp_path / "bare", MODELS)
    assert read(tmp_path / "bare").tasks == ("mathematical_reasoning", "")

    asked: list[str] = []

    def classifier(texts: Sequence[str]) -> list[Labels]:
        asked.extend(texts)
        return [Labels(axes={"task": {"generation": 1.0}}) for _ in texts]

    await export(record, tmp_path / "out", MODELS, classifier=classifier)
    await record.aclose()
    assert read(tmp_path / "out").tasks == ("mathematical_reasoning", "generation")
    assert asked == ["Dear all"]


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
    await export(record, tmp_path / "first", MODELS)
    told = await export(record, tmp_path / "out", MODELS)
    await record.aclose()
    assert told.prompts == 600
    splits = read(tmp_path / "out").splits
    assert splits == read(tmp_path / "first").splits
    assert 0.6 < splits.count("train") / 600 < 0.8


async def test_an_opinion_outlives_another_draft_between(
    record: Memory | Store, tmp_path: Path
) -> None:
    for name, text in (("d1", "51"), ("d2", "15"), ("d3", "51")):
        step = _step("large", text)
        await record.record(_decision(name, "17 × 3?", step, text=text, caller=name))
    await record.note(_said("d1", 1.0, caller="d1"))
    await record.note(_said("d3", 0.0, caller="d3"))
    told = await export(record, tmp_path / "out", MODELS)
    await record.aclose()
    assert told.scored == 1
    assert read(tmp_path / "out").scores.tolist() == [[0.5]]


async def test_only_who_asked_is_heard(record: Memory | Store, tmp_path: Path) -> None:
    for name in ("d1", "d2"):
        await record.record(_decision(name, f"{name}?", _step("large", "51"), caller="honest"))
    await record.note(_said("d1", 0.0, caller="honest"))
    for number in range(30):
        for name in ("d1", "d2"):
            await record.note(_said(name, 1.0, caller=f"eve{number}"))
    told = await export(record, tmp_path / "out", MODELS)
    await record.aclose()
    assert told.scored == 1
    scores = read(tmp_path / "out").scores
    assert scores[0, 0] == 0.0
    assert np.isnan(scores[1, 0])


async def test_a_callers_opinions_of_a_model_are_bounded_each_day(tmp_path: Path) -> None:
    record = Memory()
    for number in range(100):
        name = f"d{number}"
        await record.record(_decision(name, f"{number}?", _step("large", "51"), caller="eve"))
        await record.note(_said(name, 1.0, caller="eve", day=number // 50))
    told = await export(record, tmp_path / "out", MODELS)
    scored = ~np.isnan(read(tmp_path / "out").scores[:, 0])
    assert told.scored == 44
    assert scored[:22].all()
    assert scored[50:72].all()


async def test_a_later_opinion_of_the_same_text_weighs_less(tmp_path: Path) -> None:
    record = Memory()
    for name, score in (("d1", 1.0), ("d2", 0.0)):
        await record.record(_decision(name, "17 × 3?", _step("large", "51")))
        await record.note(_said(name, score))
    await export(record, tmp_path / "out", MODELS)
    assert read(tmp_path / "out").scores[0, 0] == pytest.approx(1.0 / 1.9)


async def test_long_decisions_are_read_few_at_a_time(tmp_path: Path) -> None:
    limits: list[int] = []

    class Diary(Memory):
        async def recorded(self, after: int = 0, limit: int = 0) -> tuple[tuple[int, Outcome], ...]:
            limits.append(limit)
            return await super().recorded(after, limit)

    record = Diary()
    for number in range(20):
        long = _decision(f"d{number}", f"{number}?" + " " * 1_000_000, _step("large", "51"))
        await record.record(long)
    told = await export(record, tmp_path / "out", MODELS)
    assert told.prompts == 20
    assert max(limits) == limits[0] <= 8
    assert 1 <= min(limits) < limits[0]


async def test_a_prompt_held_out_among_what_was_collected_is_not_learnt_from(
    tmp_path: Path,
) -> None:
    record = Memory()
    for number in range(3):
        name = f"d{number}"
        await record.record(_decision(name, f"{number} × 3?", _step("large", str(number * 3))))
    await export(record, tmp_path / "out", MODELS)
    exported = read(tmp_path / "out")
    held_out = replace(exported.rows([1]), queries=("held out",), splits=("test",))
    both = joined(held_out, exported)
    assert both.queries[0] == "held out"
    assert both.prompts == ("1 × 3?", "0 × 3?", "2 × 3?")


async def test_what_a_model_answered_while_it_was_another_teaches_nothing(
    record: Memory | Store, tmp_path: Path
) -> None:
    for day in range(4):
        made = _decision(f"d{day}", f"{day} × 3?", _step("small", "15"), _step("large", "51"))
        await record.record(replace(made, created=float(day)))
    told = await export(record, tmp_path / "out", MODELS, stale={"small": [(1.0, 3.0)]})
    await record.aclose()
    assert (told.prompts, told.drafts) == (4, 6)
    found = read(tmp_path / "out")
    missing = [row[found.models.index("small")] is None for row in found.drafts]
    when = [prompt[0] for prompt, gone in zip(found.prompts, missing, strict=True) if gone]
    assert sorted(when) == ["1", "2"]
