"""An engine of simple parts for the demo's tests: a fixed cascade over scripted models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from emafusion.client import Client
from emafusion.config.clock import SystemClock
from emafusion.engine import Engine, Stages
from emafusion.protect import VisibilityProtector
from emafusion.protocols import Port, Provider
from emafusion.record import Memory
from emafusion.types import (
    AXES,
    Assessment,
    Call,
    Cascade,
    Draft,
    Estimate,
    Forecast,
    Labels,
    Model,
    Plan,
    Request,
    Tier,
    Verdict,
)

SMALL = Model(name="small", provider="p", upstream="s", usd_per_mtok_in=1.0, usd_per_mtok_out=10.0)
LARGE = Model(
    name="large", provider="p", upstream="l", usd_per_mtok_in=10.0, usd_per_mtok_out=100.0
)

QUESTIONS = """
[[question]]
id = "sum-{n}"
kind = "{kind}"
prompt = "What is {n} + 1?"
reference = "{right}"
difficulty = 1
default = {default}
[question.labels]
task = "mathematical_reasoning"
complexity = "single_step"
domain = "mathematics"
format = "number"
[question.grader]
type = "number"
"""


def write_questions(path: Path, count: int = 6) -> Path:
    """A file of `count` sums; every second one is for a short demo."""
    path.write_text(
        "".join(
            QUESTIONS.format(
                n=n, right=n + 1, kind=("sum", "odd")[n // 3 % 2], default=str(n % 2 == 0).lower()
            )
            for n in range(count)
        )
    )
    return path


def sums(call: Call) -> str:
    """The large model is right; the small one is wrong from 3 + 1 on."""
    n = int(str(call.messages[-1]["content"]).split()[2])
    return str(n + 1) if call.model.name == "large" or n < 3 else "no idea"


class Parts:
    """Every stage but the protector and the recorder: small first, large where small is unsure."""

    async def understand(self, request: Request, port: Port) -> Labels:
        return Labels(axes={axis: {f"some_{axis}": 1.0} for axis in AXES}, familiarity=0.5)

    def predict(self, request: Request, labels: Labels, models: Sequence[Model]) -> Forecast:
        return Forecast(
            estimates=tuple(
                Estimate(model=m.name, quality=0.5, quality_std=0.1, cost_usd=0.0, latency_s=0.0)
                for m in models
            )
        )

    def usual(self, request: Request, models: Sequence[Model]) -> Forecast:
        return self.predict(request, Labels(axes={}), models)

    def plan(self, request: Request, forecast: Forecast, models: Sequence[Model]) -> Plan:
        tiers = tuple(Tier(models=(model.name,), accept=0.5) for model in models)
        return Plan(arrangement=Cascade(tiers=tiers), quality=0.5, cost_usd=0.0, latency_s=0.0)

    async def assess(
        self,
        request: Request,
        forecast: Forecast,
        drafts: Sequence[Draft],
        *,
        port: Port,
        judge: str | None = None,
    ) -> Assessment:
        sure = tuple(0.1 if "no idea" in draft.text else 0.9 for draft in drafts)
        votes = tuple(
            Verdict(judge="rules", draft=place, score=score) for place, score in enumerate(sure)
        )
        return Assessment(confidences=sure, verdicts=votes)


def client(provider: Provider, models: Sequence[Model] = (SMALL, LARGE)) -> Client:
    """A client of that engine."""
    parts = Parts()
    stages = Stages(
        protector=VisibilityProtector(),
        classifier=parts,
        predictor=parts,
        planner=parts,
        panel=parts,
        recorder=Memory(),
    )
    return Client(Engine(stages, models, providers={"p": provider}, clock=SystemClock()))
