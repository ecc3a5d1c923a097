"""The second tier carries out what its policy decides, and falls back on selecting."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from emafusion.errors import UnavailableError
from emafusion.execute import Ask, SecondTier, Trial, carry_out, settle, write
from emafusion.execute.second_tier import combine, gather
from emafusion.protocols import Port
from emafusion.types import (
    Adaptive,
    Arranged,
    Assessment,
    Cascade,
    Completion,
    Draft,
    Estimate,
    Forecast,
    Fusion,
    Knobs,
    Labels,
    Message,
    Model,
    Plan,
    Request,
    Tier,
    Usage,
    Verdict,
)
from emafusion.types.outcomes import Gathered
from emafusion.types.plans import Combination

LABELS = Labels(axes={"task": {"generation": 1.0}})
TEXTS = {"a": "The answer is 7", "b": "The answer is 8", "c": "It is 7", "w": "unused"}


def draft(model: str, text: str | None = None) -> Draft:
    text = TEXTS[model] if text is None else text
    usage = Usage(prompt_tokens=10, completion_tokens=3)
    completion = Completion(text=text, usage=usage)
    return Draft(model=model, completion=completion, cost_usd=1.0, latency_s=1.0)


class Desk:
    """A port whose models answer as scripted."""

    def __init__(self, broken: Sequence[str] = (), *, written: str = "written") -> None:
        self.broken = broken
        self.written = written
        self.asked: list[tuple[str, object]] = []

    async def complete(
        self,
        model: str,
        messages: Sequence[Message],
        *,
        purpose: object = "draft",
        params: object = None,
    ) -> Draft:
        self.asked.append((model, purpose))
        if model in self.broken:
            raise UnavailableError("broken", model)
        return draft(model, self.written if purpose == "write" else None)


class Table:
    """A panel that trusts each model's draft as told, and hears who agrees."""

    def __init__(self, sure: dict[str, float]) -> None:
        self.sure = sure

    async def assess(
        self,
        request: Request,
        forecast: Forecast,
        drafts: Sequence[Draft],
        *,
        port: Port,
        judge: str | None = None,
    ) -> Assessment:
        sure = tuple(self.sure.get(one.model, 0.0) for one in drafts)
        said = ["8" if "8" in one.text else "7" for one in drafts]
        best = said[sure.index(max(sure))]
        others = max(len(drafts) - 1, 1)
        return Assessment(
            confidences=sure,
            verdicts=tuple(
                Verdict(judge="agreement", draft=place, score=(said.count(one) - 1) / others)
                for place, one in enumerate(said)
            ),
            second=max((c for c, one in zip(sure, said, strict=True) if one != best), default=0.0),
        )


class Decides:
    """A policy that always decides the same."""

    def __init__(self, action: str = "select", weight: float = 1.0) -> None:
        self.told: list[tuple[Gathered, Labels, tuple[str, ...]]] = []
        self.combination = Combination(
            action=action,  # type: ignore[arg-type]
            model="w",
            weight=weight,
            reason=f"{action} it is",
        )

    def choose(
        self,
        gathered: Gathered,
        labels: Labels,
        *,
        forecast: Forecast,
        plan: Plan,
        models: Sequence[Model],
    ) -> Combination:
        self.told.append((gathered, labels, tuple(model.name for model in models)))
        return self.combination


class Compares:
    """A judge whose scores are given."""

    def __init__(self, *scores: float | None) -> None:
        self.scores = scores
        self.shown: list[list[str]] = []

    async def __call__(
        self, request: Request, drafts: Sequence[Draft], *, judge: str, port: Port
    ) -> Sequence[float | None]:
        self.shown.append([one.model for one in drafts])
        return self.scores


class Asks:
    """A rule that asks every member."""

    def next(self, plan: Adaptive, *_: object, allowed: Sequence[str], **__: object) -> str | None:
        return next(iter(allowed), None)


def trial(
    arrangement: Arranged,
    policy: Decides | None,
    *,
    desk: Desk | None = None,
    compares: Compares | None = None,
    window: int = 4000,
    question: str = "How many are there?",
    panel: Table | None = None,
    knobs: Knobs | None = None,
) -> Trial:
    message = {"role": "user", "content": question}
    request = Request(id="x", messages=(message,), knobs=knobs or Knobs())
    estimates = tuple(
        Estimate(model=m, quality=0.6, quality_std=0, cost_usd=0, latency_s=0) for m in "abcw"
    )
    plan = Plan(arrangement=arrangement, quality=0.6, cost_usd=1, latency_s=1, fallbacks=("c", "w"))
    models = tuple(
        Model(
            name=name,
            provider="p",
            upstream=name,
            usd_per_mtok_in=1.0,
            usd_per_mtok_out=1.0,
            context_window=window,
        )
        for name in "abcw"
    )
    ask = Ask(
        request=request,
        forecast=Forecast(estimates=estimates),
        plan=plan,
        labels=LABELS,
        models=models,
    )
    second = None
    if policy is not None:
        second = SecondTier(combiner=policy, compare=compares or Compares(0.5, 0.5))
    return Trial(
        ask,
        port=desk or Desk(),
        panel=panel or Table({"a": 0.6, "b": 0.5, "c": 0.6}),
        rule=Asks(),
        second=second,
    )


PANEL = Fusion(panel=("a", "b"))
ARRANGED = [
    PANEL,
    Adaptive(pool=("a", "b"), start="a", setting=0),
    Cascade(tiers=(Tier(models=("a",), accept=0.9), Tier(models=("b", "c"), accept=0.0))),
]


@pytest.mark.parametrize("arrangement", ARRANGED)
async def test_every_arrangement_of_drafts_asks_the_policy(arrangement: Arranged) -> None:
    policy = Decides()
    work = trial(arrangement, policy)
    assert await carry_out(work) is None
    ((gathered, labels, models),) = policy.told
    assert gathered.leading == (0, 1)
    assert (gathered.best, gathered.second) == (0.6, 0.5)
    assert labels == LABELS
    assert models == ("a", "b", "c", "w")
    assert work.combining == "select it is"
    assert work.drafts[(await settle(work)).chosen].model == "a"


async def test_no_policy_or_one_answer_or_one_draft_is_no_occasion() -> None:
    work = trial(PANEL, None)
    assert await carry_out(work) is None
    assert work.combining == ""
    policy = Decides("synthesise")
    assert await carry_out(trial(Fusion(panel=("a", "c")), policy)) is None
    assert await carry_out(trial(PANEL, policy, desk=Desk(broken=["b"]))) is None
    assert await carry_out(trial(Fusion(panel=("a",)), policy)) == "a"
    assert policy.told == []


async def test_a_synthesis_is_asked_of_the_writer_and_of_nobody_in_its_place() -> None:
    work = trial(PANEL, Decides("synthesise"))
    assert await carry_out(work) == "w"
    assert "The answer is 8" in str(work.closing)
    assert work.heirs == ()
    desk = Desk(broken=["w"])
    work = trial(PANEL, Decides("synthesise"), desk=desk)
    assert await carry_out(work) == "w"
    await write("w", work)
    assert [purpose for _, purpose in desk.asked] == ["draft", "draft", "write"]
    assert not work.written


async def test_drafts_that_do_not_fit_the_writer_are_selected_among() -> None:
    work = trial(PANEL, Decides("synthesise"), window=300)
    assert await carry_out(work) is None
    assert work.closing is None
    assert "no room" in work.combining
    assert work.drafts[(await settle(work)).chosen].model == "a"


@pytest.mark.parametrize(
    ("scores", "weight", "chosen"),
    [
        ((0.2, 0.8), 1.0, "b"),
        ((0.2, 0.8), 0.1, "a"),
        ((0.8, 0.2), 1.0, "a"),
        ((0.5, 0.5), 1.0, "a"),
        ((None, None), 1.0, "a"),
        ((0.1, None), 1.0, "a"),
    ],
)
async def test_a_comparison_moves_the_leading_two_as_far_as_it_is_worth(
    scores: tuple[float | None, float | None], weight: float, chosen: str
) -> None:
    compares = Compares(*scores)
    work = trial(PANEL, Decides("compare", weight), compares=compares)
    assert await carry_out(work) is None
    assert compares.shown == [["a", "b"]]
    settled = await settle(work)
    assert work.drafts[settled.chosen].model == chosen
    judged = [v for v in settled.assessment.verdicts if v.judge == "comparison"]
    assert len(judged) == (0 if None in scores else 2)
    assert 0.0 < settled.confidence < 1.0


async def test_json_is_fused_field_by_field_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in (("a", '{"n": 7, "m": 1}'), ("b", '{"n": 8, "m": 1}')):
        monkeypatch.setitem(TEXTS, name, text)
    for scores, n in (((0.1, 0.9), 8), ((0.9, 0.1), 7)):
        asked = "Extract the numbers as JSON with the keys n and m."
        work = trial(PANEL, Decides("compare"), compares=Compares(*scores), question=asked)
        await carry_out(work)
        settled = await settle(work)
        assert json.loads(work.drafts[settled.chosen].text) == {"n": n, "m": 1}


async def test_drafts_that_say_the_same_move_together() -> None:
    work = trial(Fusion(panel=("a", "b", "c")), Decides("compare"), compares=Compares(0.1, 0.9))
    await carry_out(work)
    settled = await settle(work)
    assert work.drafts[settled.chosen].model == "b"
    told = settled.assessment.confidences
    assert told[0] == told[2] < 0.5 < told[1]
    assert settled.assessment.second == told[0]


@pytest.mark.parametrize(
    ("written", "sure", "kept"),
    [
        ("The answer is 7", 0.6, True),
        ("It is 8", 0.5, False),
        ("The answer is 9", 0.9, True),
        ("The answer is 9", 0.55, False),
        ("I do not know.", 0.1, False),
    ],
)
async def test_a_synthesis_is_trusted_no_further_than_the_draft_it_agrees_with(
    written: str, sure: float, kept: bool
) -> None:
    panel = Table({"a": 0.6, "b": 0.5, "w": sure if "9" in written or "know" in written else 0.99})
    work = trial(PANEL, Decides("synthesise"), desk=Desk(written=written), panel=panel)
    await write(str(await carry_out(work)), work)
    settled = await settle(work)
    assert settled.assessment.confidences == (0.6, 0.5, sure)
    assert (settled.chosen == 2) == kept
    assert settled.confidence == max(sure, 0.6)
    assert [verdict.draft for verdict in settled.assessment.verdicts] == [0, 1, 2]
    streamed = await settle(work, last=True)
    assert (streamed.chosen, streamed.confidence) == (2, sure)


async def test_two_rivals_as_good_as_each_other_after_a_comparison_are_told_of() -> None:
    work = trial(PANEL, Decides("compare"), compares=Compares(0.4, 0.6))
    work.drafts = [draft("a"), draft("b")]
    told = Assessment(confidences=(0.6, 0.4), second=0.4)
    work.judged_anew(told)
    await combine(work)
    moved = (await settle(work)).assessment
    assert moved.confidences == pytest.approx((0.5, 0.5))
    assert moved.second == pytest.approx(0.5)


async def test_the_policy_is_told_how_long_it_took_by_the_ports_clock() -> None:
    class Clocked(Desk):
        left_s = 2.5

    policy = Decides()
    work = trial(PANEL, policy, desk=Clocked(), knobs=Knobs(max_latency_s=4.0))
    await carry_out(work)
    assert policy.told[0][0].took_s == 1.5  # Two drafts of a second each ran together.
    policy = Decides()
    await carry_out(trial(PANEL, policy, knobs=Knobs(max_latency_s=4.0)))
    assert policy.told[0][0].took_s == 2.0


def test_a_panel_that_hears_no_rival_gathers_nothing() -> None:
    two = [draft("a"), draft("b")]
    assert gather(two, Assessment(confidences=(0.6, 0.5))) is None
    same = [draft("a", "Bread."), draft("b", "Bread.")]
    assert gather(same, Assessment(confidences=(0.6, 0.5), second=0.5)) is None
    found = gather(two, Assessment(confidences=(0.5, 0.6), second=0.5))
    assert found is not None
    assert found.leading == (1, 0)
    assert found.open_ended
    assert (found.prompt_tokens, found.draft_tokens) == (10, 6)
    assert (found.spent_usd, found.took_s) == (2.0, 2.0)
