"""Answers are judged anew now and then: after the reply, within bounds, by whoever may see them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Sequence
from pathlib import Path

import pytest

from emafusion import config
from emafusion.client import request
from emafusion.config.checks import DOUBTED, WIDER, SampledChecks, Terms, checked
from emafusion.config.load import parse
from emafusion.errors import ConfigError, UnavailableError
from emafusion.learn.online.witnesses import DAILY
from emafusion.record import Memory
from emafusion.testing import ScriptedProvider
from emafusion.types import (
    Call,
    Completion,
    Estimate,
    Forecast,
    Labels,
    Model,
    Outcome,
    Request,
    Usage,
    replace,
)

from .school import LARGE, MIDDLE, SMALL, Clock, models

QUESTION = "What is 6 times 7? Reply with the number only."
POOL = models()
PRIVATE = [replace(one, visibility="private") for one in POOL]


def outcome(one: Request, *, model: str = SMALL, text: str = "42", cost: float = 1e-3) -> Outcome:
    """What an engine would have put on record."""
    qualities = {SMALL: 0.5, MIDDLE: 0.6, LARGE: 0.8}
    estimates = tuple(
        Estimate(model=name, quality=q, quality_std=0.1, cost_usd=2e-4, latency_s=1.0)
        for name, q in qualities.items()
    )
    return Outcome(
        decision_id=one.id,
        created=1e9,
        prompt=one.text,
        labels=Labels(axes={}),
        forecast=Forecast(estimates=estimates),
        plan=None,
        steps=(),
        verdicts=(),
        model=model,
        text=text,
        confidence=0.5,
        cost_usd=cost,
        latency_s=1.0,
    )


class Desk:
    """Checks over a scripted provider, drawn for every answer unless told otherwise."""

    def __init__(
        self, terms: Terms | None = None, *, reply: str = "42", chance: float = 0.0
    ) -> None:
        self.record = Memory()

        def script(call: Call) -> Completion | UnavailableError:
            if reply == "!":
                return UnavailableError("down", call.model.name)
            return Completion(text=reply, usage=Usage(prompt_tokens=10, completion_tokens=2))

        self.provider = ScriptedProvider(script)
        self.checks = SampledChecks(
            terms or Terms(share=1.0, budget=1.0),
            models={one.name: one for one in POOL},
            providers={"p": self.provider},
            clock=Clock(),
            recorder=self.record,
            chance=lambda: chance,
        )

    async def answered(
        self, one: Request | None = None, *, cleared: Sequence[Model] = POOL, **found: object
    ) -> Outcome | None:
        """The record of the check of an answer, if there was one."""
        asked = one or request(QUESTION)
        self.checks.consider(asked, replace(outcome(asked), **found), models=cleared)
        await self.checks.aclose()
        return await self.record.find(f"check:{asked.id}")


@pytest.mark.parametrize(("reply", "score"), [("42", 1.0), ("It is 41.", 0.0), ("", None)])
async def test_the_best_other_model_is_asked_and_what_it_says_is_on_record(
    reply: str, score: float | None
) -> None:
    desk = Desk(reply=reply)
    found = await desk.answered()
    assert found is not None
    (step,), (verdict,) = found.steps, found.verdicts
    assert (step.model, step.purpose, found.model) == (LARGE, "check", LARGE)
    assert (verdict.judge, verdict.score) == ("check", score)
    assert found.cost_usd == step.cost_usd > 0.0
    assert checked(found.decision_id) is not None
    assert checked("dec_1") is None


async def test_nobody_waits_for_a_check() -> None:
    desk = Desk()
    desk.provider.delay_s = 0.05
    one = request(QUESTION)
    desk.checks.consider(one, outcome(one), models=POOL)
    assert desk.provider.calls == []
    await desk.checks.aclose()
    assert len(desk.provider.calls) == 1


@pytest.mark.parametrize(
    ("text", "error"),
    [("A long letter about nothing. " * 20, None), ("", None), ("42", "ProviderError: no")],
)
async def test_answers_that_cannot_be_compared_are_not_checked(
    text: str, error: str | None
) -> None:
    question = request("Write a letter to my landlord.")
    assert await Desk().answered(question, text=text, error=error) is None


async def test_only_models_that_are_cleared_check() -> None:
    desk = Desk()
    found = await desk.answered(cleared=POOL[:2])
    assert found is not None
    assert found.model == MIDDLE
    assert await desk.answered(cleared=POOL[:1]) is None
    private = request(QUESTION, private=True)
    assert await desk.answered(private, cleared=[PRIVATE[0]]) is None
    assert [call.model.name for call in desk.provider.calls] == [MIDDLE]


@pytest.mark.parametrize(
    "one",
    [
        request(QUESTION, explore=False),
        request(QUESTION, params={"tools": [{"type": "function"}]}),
        request(QUESTION, params={"n": 2}),
    ],
)
async def test_callers_who_forbid_it_and_steered_answers_are_not_checked(one: Request) -> None:
    assert await Desk().answered(one) is None


async def test_the_share_is_that_of_the_draw_and_rises_for_a_model_in_doubt() -> None:
    desk = Desk(Terms(share=0.1, budget=1.0), chance=0.2)
    assert await desk.answered() is None
    doubted: Collection[str] = {SMALL}
    desk.checks.doubted = lambda: doubted
    assert DOUBTED > 0.2
    assert await desk.answered() is not None
    doubted = {SMALL, LARGE}
    found = await desk.answered()
    assert found is not None
    assert found.model == MIDDLE


@pytest.mark.parametrize("most", [None, 1e-3])
async def test_checks_never_cost_more_than_their_share(most: float | None) -> None:
    terms = Terms(share=1.0, budget=0.3, max_usd=most)
    desk = Desk(terms)
    for _ in range(30):
        await desk.answered(cost_usd=5e-4)
        account = desk.checks.account
        assert account.reserved_usd == pytest.approx(0.0)
        assert account.checks_usd <= 0.3 * account.answers_usd
        assert account.checks_usd <= (most or 1.0)
    assert desk.checks.account.seen == 30
    assert desk.checks.account.checked > 0


@pytest.mark.parametrize("expected", [0.0, 2e-4])
async def test_a_check_of_a_priced_model_always_has_a_bound(expected: float) -> None:
    desk = Desk()
    estimates = tuple(
        replace(one, cost_usd=expected) for one in outcome(request(QUESTION)).forecast.estimates
    )
    await desk.answered(forecast=Forecast(estimates=estimates))
    assert ["max_tokens" in call.params for call in desk.provider.calls] == [True] * bool(expected)
    assert desk.checks.account.checked == bool(expected)


async def test_a_model_without_prices_checks_though_nothing_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = Desk(Terms(share=1.0, budget=0.0))
    assert await desk.answered() is None
    free = {one.name: replace(one, usd_per_mtok_in=0.0, usd_per_mtok_out=0.0) for one in POOL}
    monkeypatch.setattr(desk.checks, "_models", free)
    assert await desk.answered() is not None


async def test_a_check_of_unknown_ending_counts_as_if_all_were_spent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("emafusion.config.checks.LONGEST_S", 0.02)
    monkeypatch.setattr("emafusion.config.checks.LAST_S", 0.2)
    desk = Desk()
    desk.provider.delay_s = 30.0
    assert await desk.answered() is not None
    assert desk.checks.account.checks_usd == pytest.approx(WIDER * 2e-4)
    one = request(QUESTION)
    desk.checks.consider(one, outcome(one), models=POOL)
    monkeypatch.setattr("emafusion.config.checks.LAST_S", 0.0)
    # Cancelled before it began: nothing of it ever ran.
    (task,) = desk.checks._under_way
    task.cancel()
    await desk.checks.aclose()
    assert desk.checks.account.checks_usd == pytest.approx(2 * WIDER * 2e-4)
    assert desk.checks.account.reserved_usd == pytest.approx(0.0)


def test_checks_of_an_event_loop_that_was_closed_are_dropped() -> None:
    desk = Desk()
    desk.provider.delay_s = 30.0
    one = request(QUESTION)

    async def begin() -> None:
        desk.checks.consider(one, outcome(one), models=POOL)

    gone = asyncio.new_event_loop()
    gone.run_until_complete(begin())
    (task,) = desk.checks._under_way
    gone.close()
    asyncio.run(desk.checks.aclose())
    account = desk.checks.account
    assert not desk.checks._under_way
    assert account.reserved_usd == 0.0
    assert account.checks_usd == pytest.approx(WIDER * 2e-4)
    # Nothing runs it any more; asyncio would say so when it is collected.
    task._log_destroy_pending = False  # type: ignore[attr-defined]  # asyncio's own switch
    with contextlib.suppress(RuntimeError):
        task.get_coro().close()


async def test_a_check_that_fails_is_told_and_costs_nobody_an_answer() -> None:
    found = await Desk(reply="!").answered()
    assert found is not None
    assert found.error is not None
    assert found.verdicts[0].score is None


async def test_checks_that_hang_end_with_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emafusion.config.checks.LAST_S", 0.01)
    desk = Desk()
    desk.provider.delay_s = 30.0
    one = request(QUESTION)
    for _ in range(9):
        desk.checks.consider(one, outcome(one), models=POOL)
    async with asyncio.timeout(5.0):
        await desk.checks.aclose()
    assert desk.provider.cancelled == 4
    assert desk.checks.account.reserved_usd == pytest.approx(0.0)


async def test_what_a_check_says_survives_in_a_record_on_disk(tmp_path: Path) -> None:
    from emafusion.record import Store

    desk = Desk()
    store = Store(tmp_path / "d.sqlite3")
    desk.checks._recorder = store
    one = request(QUESTION)
    desk.checks.consider(one, outcome(one), models=POOL)
    await desk.checks.aclose()
    found = await store.find(f"check:{one.id}")
    assert found is not None
    assert found.steps[0].purpose == "check"
    await store.aclose()


async def test_checks_that_would_count_for_nothing_are_not_begun() -> None:
    desk = Desk()
    for _ in range(DAILY + 3):
        await desk.answered()
    assert desk.checks.account.checked == DAILY
    assert await desk.answered(replace(request(QUESTION), caller="bob")) is not None


SETTINGS = """
[policy]
arrangement = "single"
[providers.p]
type = "openai"
base_url = "http://localhost:1"
[models."smollm2-135m"]
provider = "p"
upstream = "s"
usd_per_mtok_in = 0.0
usd_per_mtok_out = 0.0
[models."qwen2.5-coder-1.5b"]
provider = "p"
upstream = "l"
usd_per_mtok_in = 0.0
usd_per_mtok_out = 0.0
[record]
path = {path!r}
[learn]
check = {share}
"""


@pytest.mark.parametrize(
    ("more", "path", "remedy"),
    [
        ("drift = false", "d.sqlite3", r"learn\.drift to true"),
        ("", "memory", r"record\.path to a file"),
    ],
)
def test_checks_that_nobody_learns_from_are_refused(
    tmp_path: Path, more: str, path: str, remedy: str
) -> None:
    place = path if path == "memory" else str(tmp_path / path)
    settings = parse(SETTINGS.format(path=place, share=0.1) + more, "test")
    with pytest.raises(ConfigError, match=remedy):
        config.build(settings, parts={"p": ScriptedProvider("42")})


@pytest.mark.parametrize("share", [0.0, 1.0])
async def test_a_client_built_from_settings_checks_where_a_share_is_given(
    tmp_path: Path, share: float
) -> None:
    text = SETTINGS.format(path=str(tmp_path / "d.sqlite3"), share=share)
    provider = ScriptedProvider("42")
    async with config.build(parse(text, "test"), parts={"p": provider}) as client:
        answer = await client.answer(QUESTION)
        private = await client.answer(QUESTION, models=[answer.model])
        for _ in range(50):
            await asyncio.sleep(0.01)
            found = await client.find(f"check:{answer.decision_id}")
            if found is not None:
                break
        assert (found is not None) is bool(share)
        assert await client.find(f"check:{private.decision_id}") is None
        told = client.status().get("checking")
        assert (told is not None) is bool(share)
