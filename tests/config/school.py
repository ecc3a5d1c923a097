"""An engine that learns, in tests: shipped routers, scripted models, a record on disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from emafusion import artefacts, encoders
from emafusion.artefacts import Artefact
from emafusion.client import Client, request
from emafusion.config.learner import Learner, Origin
from emafusion.engine import Engine, Stages
from emafusion.judge import CalibratedPanel
from emafusion.plan import UtilityPlanner
from emafusion.predict import Fitted
from emafusion.protect import VisibilityProtector
from emafusion.protocols import Explorer
from emafusion.record import Store
from emafusion.testing import ScriptedProvider
from emafusion.types import Answer, Call, Completion, Estimate, Knobs, Model, Usage, replace
from emafusion.understand import FastClassifier

SMALL, MIDDLE, LARGE = "smollm2-135m", "qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b"
ENCODER = encoders.Remembered(encoders.default())
QUESTION = "What is the capital of Australia?"


def shipped() -> Artefact:
    """The shipped policy, with a watch to which the models' answers are as long as expected."""
    with resources.as_file(resources.files("emafusion.config").joinpath("policy")) as folder:
        found = artefacts.read(folder)
    usual = np.random.default_rng(0).normal(0.0, SPREAD, 4000)
    habits = np.quantile(usual, np.linspace(0.0, 1.0, 101))[:, None].repeat(3, axis=1)
    watch = {"watch/calibration": np.array([0.0, 1.0]), "watch/habits": habits}
    return replace(found, arrays={**found.arrays, **watch})


SPREAD = 0.5
"""Of ln found over expected tokens."""
POLICY = shipped()
FAST = FastClassifier.from_arrays(POLICY.under("understand"), ENCODER)
FITTED = Fitted.from_arrays(
    POLICY.under("predict"),
    POLICY.manifest.pool,
    encoder=ENCODER,
    labels={axis: head.labels for axis, head in FAST.heads.items()},
)


def models() -> list[Model]:
    return [
        Model(name=n, provider="p", upstream=n, usd_per_mtok_in=price, usd_per_mtok_out=price)
        for n, price in ((SMALL, 0.1), (MIDDLE, 1.0), (LARGE, 3.0))
    ]


class Clock:
    """Time that passes when it is told to."""

    def __init__(self, now: float = 1e9) -> None:
        self.time = now

    def now(self) -> float:
        return self.time

    def tick(self) -> float:
        return asyncio.get_running_loop().time()


OPENED: list[Store] = []
"""Records to be closed when the test is over: each writes in a thread of its own."""


class School(Struct, kw_only=True):
    """A client, the learner that serves it, and its record."""

    client: Client
    learner: Learner
    store: Store
    clock: Clock

    async def asked(
        self, text: str = QUESTION, *, model: str = SMALL, caller: str = "ann"
    ) -> Answer:
        """The answer of `model` to `caller`."""
        one = replace(request(text, models=(model,)), caller=caller)
        return await self.client.engine.serve(one)

    async def voted(self, score: float, *, model: str = SMALL, caller: str = "ann") -> None:
        """One answer of `model` and what `caller` says of it."""
        answer = await self.asked(model=model, caller=caller)
        await self.client.feedback(answer.decision_id, score, caller=caller)

    def forecast(self, model: str, text: str = QUESTION) -> Estimate:
        """What is expected of `model` now."""
        one = request(text)
        return self.learner.predict(one, FAST.labels(one), models())[model]


def school(
    path: Path,
    *,
    tokens: Callable[[Call], int] = lambda _: 10,
    since: float = 0.0,
    content: bool = True,
    drift: bool = False,
    explorer: Explorer | None = None,
    watch: Mapping[str, NDArray[np.generic]] | None = None,
) -> School:
    """One serving process that learns; it reads the record only where a test lets it."""
    clock = Clock()
    store = Store(path / "decisions.sqlite3", store_content=content, synchronous="normal")
    OPENED.append(store)
    # Of what was fitted later than models' lengths, a school's policy knows what a test tells it.
    known = {
        name: array
        for name, array in POLICY.arrays.items()
        if not name.startswith(("watch/agreement", "watch/queries"))
    }
    more = {f"watch/{name}": array for name, array in (watch or {}).items()}
    policy = replace(POLICY, arrays={**known, **more})
    origin = Origin(name="", artefact=policy, since=since)
    learner = Learner(origin, FITTED, store, drift=drift, every_s=0.0)
    stages = Stages(
        protector=VisibilityProtector(),
        classifier=FAST,
        predictor=learner,
        planner=UtilityPlanner(),
        panel=CalibratedPanel(),
        recorder=store,
        explorer=explorer,
    )

    def script(call: Call) -> Completion:
        usage = Usage(prompt_tokens=10, completion_tokens=tokens(call))
        return Completion(text="Canberra", usage=usage)

    providers = {"p": ScriptedProvider(script)}
    engine = Engine(stages, models(), providers=providers, clock=clock, knobs=Knobs())
    return School(client=Client(engine), learner=learner, store=store, clock=clock)
