"""Every call that stages make for a request: masked, and to private models where that counts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from emafusion.client import Client
from emafusion.config.build import shipped
from emafusion.encoders import default
from emafusion.engine import Engine, Stages
from emafusion.errors import NoModelError
from emafusion.execute.hedging import Hedging
from emafusion.judge import CalibratedPanel
from emafusion.plan import Signals, UtilityPlanner
from emafusion.predict import Union
from emafusion.protect import VisibilityProtector
from emafusion.protect.entities import Detector, Entity
from emafusion.protect.placeholders import Mint
from emafusion.protect.rules import Rules
from emafusion.protect.shield import Shield
from emafusion.protect.structured import Structured
from emafusion.record import Memory, Store
from emafusion.testing import ScriptedProvider
from emafusion.types import (
    AXES,
    Answer,
    Arrangement,
    Call,
    Cascade,
    Forecast,
    Model,
    Plan,
    Request,
    content_text,
    replace,
)
from emafusion.understand import Blend, FastClassifier, Mixture, SlowClassifier, Taxonomy
from emafusion.understand.splitting import SlowSplitter

from .staged import Clock

MINT = Mint(b"a secret of sixteen bytes")
MAIL = "jane.roe@harbour.example"
ASKED = f"I wonder how tall Everest is, and please write a short note to {MAIL} about it."
VISIBLE = {"near": "private", "far": "public", "wide": "public"}


class Blind:
    """A detector that does what it is told: crash, hang or lie."""

    name = "blind"

    def __init__(self, how: str) -> None:
        self.how = how

    async def detect(self, text: str) -> list[Entity]:
        if self.how == "crash":
            raise ValueError(text)
        if self.how == "hang":
            await asyncio.sleep(60)
        return [Entity(kind="EMAIL", start=0, end=len(text) + 7)]


class Doubting(UtilityPlanner):
    """Has the judges of its plans asked whatever the cheap ones say."""

    def plan(self, request: Request, forecast: Forecast, models: Sequence[Model]) -> Plan:
        found = super().plan(request, forecast, models)
        if not isinstance(found.arrangement, Cascade):
            return found
        tiers = tuple(replace(tier, band=1.0) for tier in found.arrangement.tiers)
        return replace(found, arrangement=replace(found.arrangement, tiers=tiers))


def models() -> list[Model]:
    return [
        Model(
            name=name,
            provider="house",
            upstream=name,
            usd_per_mtok_in=1.0 + place,
            usd_per_mtok_out=2.0 + place,
            visibility="private" if seen == "private" else "public",
            capabilities=frozenset({"json", "tools"}),
        )
        for place, (name, seen) in enumerate(VISIBLE.items())
    ]


def stages(recorder: Memory | Store, slow: str) -> Stages:
    """Stages that ask models wherever they can."""
    sure = dict.fromkeys(AXES, 1.0)
    fast = FastClassifier.from_arrays(shipped().under("understand"), default())
    slow_one = SlowClassifier(slow, Taxonomy.load())
    return Stages(
        protector=VisibilityProtector(),
        classifier=Blend(fast, slow_one, mixture=Mixture(weight=sure, trust=sure, unsure=1.1)),
        predictor=Union(),
        planner=Doubting(Signals(judges=dict.fromkeys(VISIBLE, 3.0))),
        panel=CalibratedPanel(),
        recorder=recorder,
        splitter=SlowSplitter(slow),
    )


def client(
    provider: ScriptedProvider, *, recorder: Memory | Store, slow: str = "far", how: str = ""
) -> Client:
    detectors: list[Detector] = [Structured(), *([Blind(how)] if how else [])]
    engine = Engine(stages(recorder, slow), models(), providers={"house": provider}, clock=Clock())
    engine.hedging = Hedging(after_s=0.0)
    return Client(engine, shield=Shield(MINT, detectors, rules=Rules(limit_s=0.2)))


def said(call: Call) -> str:
    """What a scripted model says: parts to a splitter, else back what it was asked."""
    text = "\n".join(content_text(message) for message in call.messages)
    if call.purpose != "label":
        return f"I was asked: {text}"
    return json.dumps({"parts": [{"text": "how tall Everest is"}]})


def told(provider: ScriptedProvider) -> str:
    return "".join(str(call.messages) + str(call.params) for call in provider.calls)


def everything(folder: Path) -> bytes:
    return b"".join(one.read_bytes() for one in folder.iterdir())


ASKS_FOR: dict[str, set[str]] = {"cascade": {"judge"}, "synthesis": {"write"}}
KINDS: tuple[Arrangement, ...] = ("auto", "single", "cascade", "fusion", "synthesis")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("kind", KINDS)
async def test_models_read_placeholders_and_the_caller_values(
    kind: Arrangement, stream: bool
) -> None:
    provider, record = ScriptedProvider(said, piece=1), Memory()
    async with client(provider, recorder=record) as fusion:
        if stream:
            pieces = [one async for one in fusion.stream(ASKED, arrangement=kind, prefer=1.0)]
            answer = pieces[-1]
            text = "".join(one.text for one in pieces[:-1])
        else:
            answer = await fusion.answer(ASKED, arrangement=kind, prefer=1.0)
            text = answer.text
        assert isinstance(answer, Answer)
        assert MAIL in text
        assert answer.text == text
        kept = await fusion.find(answer.decision_id)
    assert MAIL not in told(provider)
    assert "[EMAIL_" in told(provider)
    purposes = {call.purpose for call in provider.calls}
    assert purposes >= {"label", "draft"} | ASKS_FOR.get(kind, set())
    assert kept is not None
    assert MAIL not in str(kept)
    assert kept.protection is not None
    assert kept.protection.masked == {"EMAIL": 1}
    assert "masked EMAIL 1" in kept.explain()


@pytest.mark.parametrize("how", ["crash", "hang", "lie"])
@pytest.mark.parametrize("kind", KINDS)
async def test_where_a_detector_fails_nobody_outside_is_asked_and_nothing_is_kept(
    kind: Arrangement, how: str, tmp_path: Path
) -> None:
    provider, record = ScriptedProvider(said), Store(tmp_path / "record.db")
    asked = f"{ASKED} Quokka."
    async with client(provider, recorder=record, how=how) as fusion:
        try:
            answer = await fusion.answer(asked, arrangement=kind, prefer=1.0)
        except NoModelError:
            answer = None
        assert answer is not None or kind in ("cascade", "fusion", "synthesis")
        if answer is not None:
            assert MAIL in answer.text
            kept = await fusion.find(answer.decision_id)
            assert kept is not None
            assert kept.protection is not None
            assert kept.protection.failed == ("blind",)
            await fusion.feedback(answer.decision_id, 1.0, caller=MAIL, comment=f"Quokka {MAIL}")
    assert {call.model.name for call in provider.calls} <= {"near"}
    assert all(call.untold for call in provider.calls)
    files = await asyncio.to_thread(everything, tmp_path)
    for secret in (b"Quokka", b"Everest", MAIL.encode()):
        assert secret not in files


async def test_without_a_private_model_a_failed_detector_is_a_refusal_that_tells_no_value() -> None:
    provider = ScriptedProvider(said)
    async with client(provider, recorder=Memory(), how="crash") as fusion:
        with pytest.raises(NoModelError) as refused:
            await fusion.answer(ASKED, models=["far"])
    assert "blind failed" in str(refused.value)
    assert "visibility = 'private'" in str(refused.value)
    assert MAIL not in str(refused.value)
    assert provider.calls == []


async def test_comments_and_their_callers_are_masked() -> None:
    provider, record = ScriptedProvider(said), Memory()
    async with client(provider, recorder=record) as fusion:
        answer = await fusion.answer(ASKED)
        await fusion.feedback(answer.decision_id, 0.5, caller=MAIL, comment=f"Ask {MAIL}")
        [(_, opinion)] = await record.noted()
    assert MAIL not in str(opinion)
    assert opinion.caller in opinion.comment


def test_the_client_that_waits_masks_too() -> None:
    provider = ScriptedProvider(said)
    with client(provider, recorder=Memory()) as fusion:
        assert MAIL in fusion.answer_sync(ASKED).text
    assert MAIL not in told(provider)
