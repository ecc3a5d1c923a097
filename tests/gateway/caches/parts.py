"""A real engine over a scripted model, behind a cache, with a clock turned by hand."""

from __future__ import annotations

from collections.abc import Mapping

from emafusion.engine import Engine, Stages
from emafusion.gateway.caches import AnswerCache, Equal, Key, LocalShelf, Mode, Rules, Shelf
from emafusion.gateway.callers import Caller, Passage
from emafusion.judge import CalibratedPanel
from emafusion.plan import UtilityPlanner
from emafusion.predict import Union
from emafusion.protect import VisibilityProtector
from emafusion.protocols import Port
from emafusion.record import Memory
from emafusion.testing import ScriptedProvider
from emafusion.testing.scripted import Script
from emafusion.types import Answer, Knobs, Labels, Model, Request


class Hand:
    """A clock that goes when it is turned."""

    def __init__(self) -> None:
        self.time = 1_000_000.0

    def tick(self) -> float:
        return self.time

    def now(self) -> float:
        return self.time


class Unlabelled:
    """A classifier with nothing to say."""

    async def understand(self, request: Request, port: Port) -> Labels:
        return Labels(axes={})


def scope(passage: Passage) -> tuple[str, ...]:
    """The data class, as a protector would tell it."""
    return ("policy-1", "restricted" if "secret" in passage.request.text else "public")


class House:
    """Asks the engine through a cache.

    ``calls`` counts what was bought.
    """

    def __init__(
        self,
        script: Script = "Paris.",
        *,
        shelf: Shelf | None = None,
        key: Key | None = None,
        mode: Mode = "on",
        rules: Rules | None = None,
        delay_s: float = 0.0,
    ) -> None:
        self.clock = Hand()
        self.provider = ScriptedProvider(script, delay_s=delay_s)
        self.recorder = Memory()
        stages = Stages(
            protector=VisibilityProtector(),
            classifier=Unlabelled(),
            predictor=Union(),
            planner=UtilityPlanner(),
            panel=CalibratedPanel(),
            recorder=self.recorder,
        )
        model = Model(
            name="one",
            provider="scripted",
            upstream="one",
            usd_per_mtok_in=1.0,
            usd_per_mtok_out=2.0,
            visibility="private",
            capabilities=frozenset({"json", "logprobs", "tools"}),
        )
        self.engine = Engine(
            stages, [model], providers={"scripted": self.provider}, clock=self.clock
        )
        self.shelf = LocalShelf(2**20, tick=self.clock.tick) if shelf is None else shelf
        self.cache = AnswerCache(
            self.shelf,
            self.recorder.record,
            clock=self.clock,
            key=key or Equal(scope),
            mode=lambda passage: mode,
            rules=rules,
        )
        self._number = 0

    @property
    def calls(self) -> int:
        return len(self.provider.calls)

    def passage(
        self,
        text: str = "What is the capital of France?",
        *,
        team: str = "red",
        cache_control: str = "",
        stream: bool = False,
        knobs: Knobs | None = None,
        history: tuple[Mapping[str, object], ...] = (),
        **params: object,
    ) -> Passage:
        self._number += 1
        return Passage(
            request=Request(
                id=f"dec_{self._number}",
                messages=(*history, {"role": "user", "content": text}),
                params=params,
                knobs=knobs or Knobs(),
            ),
            caller=Caller(key=f"{team}-key", team=team),
            cache_control=cache_control,
            stream=stream,
        )

    async def ask(self, text: str = "What is the capital of France?", **told: object) -> Passage:
        return await self.send(self.passage(text, **told))  # type: ignore[arg-type]

    async def send(self, passage: Passage) -> Passage:
        """What the gateway does behind its gates."""
        async with self.cache.open(passage):
            if passage.answer is None:
                passage.answer = await self._engine(passage)
                passage.outcome = passage.answer.outcome
        return passage

    async def _engine(self, passage: Passage) -> Answer:
        if not passage.stream:
            return await self.engine.serve(passage.request)
        last = [piece async for piece in self.engine.stream(passage.request)][-1]
        assert isinstance(last, Answer)
        return last


def hit(passage: Passage) -> bool:
    return passage.reply_headers.get("x-emafusion-cache") in {"hit", "similar"}
