"""One small Protocol for each part that can be exchanged: what a stage must do, never how.

:mod:`emafusion.engine` knows the stages by these alone, and hands a stage that needs a language
model a :class:`Port`, so no stage knows providers, prices or clocks.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from emafusion.types import (
    Adaptive,
    Assessment,
    Call,
    Chunk,
    Clearance,
    Completion,
    Draft,
    Feedback,
    Forecast,
    Labels,
    Message,
    Model,
    Outcome,
    Plan,
    Purpose,
    Request,
    Split,
)
from emafusion.types.outcomes import Gathered
from emafusion.types.plans import Combination

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Provider(Protocol):
    """Speaks one wire format to any number of models."""

    async def complete(self, call: Call) -> Completion:
        """The whole answer to `call`; raises a :class:`~emafusion.errors.ProviderError`."""
        ...

    def stream(self, call: Call) -> AsyncIterator[Chunk]:
        """The answer piece by piece, the last piece with its usage; raises as :meth:`complete`."""
        ...

    async def healthy(self, model: Model) -> bool:
        """Whether `model` could be asked now, without spending a token."""
        ...

    async def aclose(self) -> None:
        """Give back connections, threads and files."""
        ...


@runtime_checkable
class Watched(Protocol):
    """A provider that notices which of its models are down."""

    def reachable(self, model: Model) -> bool:
        """Whether a call to `model` would be let through now; asks nobody."""
        ...


class Encoder(Protocol):
    """Turns texts into vectors."""

    @property
    def name(self) -> str:
        """Identifies the encoder and its version; an artefact records it."""
        ...

    @property
    def dim(self) -> int:
        """The length of a vector."""
        ...

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, shape ``(len(texts), dim)``."""
        ...


class Clock(Protocol):
    """The time, given to those who may not look at it themselves."""

    def now(self) -> float:
        """Seconds since 1970."""
        ...

    def tick(self) -> float:
        """Seconds of a clock that never goes back."""
        ...


class Port(Protocol):
    """How a stage asks a model: every call is timed, priced, bounded and remembered."""

    async def complete(
        self,
        model: str,
        messages: Sequence[Message],
        *,
        purpose: Purpose,
        params: Mapping[str, object] | None = None,
    ) -> Draft:
        """Ask `model`; raises a :class:`~emafusion.errors.ProviderError` or `BudgetError`."""
        ...


@runtime_checkable
class Timed(Protocol):
    """A port that knows the request's clock."""

    @property
    def left_s(self) -> float | None:
        """Seconds until the request's deadline; ``None`` where it has none."""
        ...


class Protector(Protocol):
    """Stage 1: which models may see this request."""

    def protect(self, request: Request, models: Sequence[Model]) -> Clearance:
        """The clearance for `request` among `models`; fails closed."""
        ...


class Classifier(Protocol):
    """Stage 2: what kind of request this is."""

    async def understand(self, request: Request, port: Port) -> Labels:
        """The taxonomy's labels for `request`; `port` serves the slow classifier."""
        ...


class Splitter(Protocol):
    """Between stages 2 and 3: whether a prompt asks several things at once."""

    async def split(self, request: Request, labels: Labels, port: Port) -> Split | None:
        """The parts of `request`; ``None`` where it asks one thing or cannot be split safely."""
        ...


class Predictor(Protocol):
    """Stage 3: what each model would make of it."""

    def predict(self, request: Request, labels: Labels, models: Sequence[Model]) -> Forecast:
        """One estimate for each of `models`, in their order."""
        ...

    def usual(self, request: Request, models: Sequence[Model]) -> Forecast:
        """As :meth:`predict`, of what `models` do on the whole: no text is read, no label known."""
        ...


class Planner(Protocol):
    """Stage 4: which models, in which arrangement, under which limits."""

    def plan(self, request: Request, forecast: Forecast, models: Sequence[Model]) -> Plan:
        """The best plan for `request`; raises :class:`~emafusion.errors.RequestError` if none."""
        ...


class Judge(Protocol):
    """Stage 6, one opinion: how far drafts can be trusted."""

    @property
    def name(self) -> str:
        """The judge's kind, as verdicts name it."""
        ...

    def score(self, request: Request, drafts: Sequence[Draft]) -> Sequence[float | None]:
        """A score in [0, 1] for each draft, ``None`` where there is nothing to say."""
        ...


class Panel(Protocol):
    """Stage 6, all opinions: one calibrated confidence per draft."""

    async def assess(
        self,
        request: Request,
        forecast: Forecast,
        drafts: Sequence[Draft],
        *,
        port: Port,
        judge: str | None = None,
    ) -> Assessment:
        """P(right) for each of `drafts`; asks the model named `judge` too where one is named."""
        ...


class Explorer(Protocol):
    """After stage 4: now and then another plan than the best-looking one, to learn from it."""

    def explore(
        self, request: Request, forecast: Forecast, plan: Plan, *, models: Sequence[Model]
    ) -> Plan:
        """`plan`, or one that asks another of `models`, with the chance that it had."""
        ...


class Checker(Protocol):
    """After stage 7: now and then another judgement of an answer, nobody waiting for it."""

    def consider(self, request: Request, outcome: Outcome, *, models: Sequence[Model]) -> None:
        """Begin a check of `outcome` by one of `models`, or do not; returns at once."""
        ...

    async def aclose(self) -> None:
        """End what is under way."""
        ...


class Dialogues(Protocol):
    """Beside stages 3 and 7: what conversations under way make cheaper."""

    def priced(self, request: Request, forecast: Forecast, models: Sequence[Model]) -> Forecast:
        """`forecast` at what `models` cost in this conversation."""
        ...

    def note(self, request: Request, outcome: Outcome) -> None:
        """Remember who was sent what."""
        ...


class Rule(Protocol):
    """Stages 4 and 5 between them: what an adaptive plan does after each verdict."""

    def next(
        self,
        plan: Adaptive,
        forecast: Forecast,
        assessment: Assessment | None,
        *,
        heard: Sequence[str],
        allowed: Sequence[str],
    ) -> str | None:
        """The model of `allowed` to ask next, ``None`` to accept; `heard` are those that spoke."""
        ...


class Combiner(Protocol):
    """Between stages 6 and 7: whether drafts that differ are worth another call."""

    def choose(
        self,
        gathered: Gathered,
        labels: Labels,
        *,
        forecast: Forecast,
        plan: Plan,
        models: Sequence[Model],
    ) -> Combination:
        """Select among the drafts, or have one of `models` compare or rewrite them."""
        ...


class Recorder(Protocol):
    """Stage 7: nothing acknowledged is lost."""

    async def record(self, outcome: Outcome) -> None:
        """Make `outcome` durable and only then return; raises `StoreError`."""
        ...

    async def note(self, feedback: Feedback) -> None:
        """Make `feedback` durable; raises ``UnknownDecisionError`` or ``StoreError``."""
        ...

    async def noted(self, after: int = 0, limit: int = 1000) -> Sequence[tuple[int, Feedback]]:
        """Feedback in the order it came, numbered; only what came after the number `after`."""
        ...

    async def find(self, decision_id: str) -> Outcome | None:
        """The outcome of `decision_id`, or ``None``."""
        ...

    async def aclose(self) -> None:
        """Finish what is pending and close."""
        ...
