"""The demo, front to back: make the models ready, ask every question, compare.

:meth:`Play.run` is the story. It knows the engine by its client; it does not draw (the screen
does) and it does not count (the summary does).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from emafusion.client import Client
from emafusion.client import Options as Knobs
from emafusion.client import request as request_of
from emafusion.config.clock import SystemClock
from emafusion.demo.questions import Entry
from emafusion.demo.recorded import Recorded
from emafusion.demo.rows import OURS, Attempt, Row, call_of, row_of
from emafusion.demo.weights import local_models
from emafusion.demo.weights import small as smaller
from emafusion.errors import (
    BudgetError,
    EmafusionError,
    ProviderError,
    RequestError,
    UnavailableError,
)
from emafusion.execute import Ledger, Limits
from emafusion.learn.collect import Preparing
from emafusion.types import Forecast, Labels, Model, Outcome, Request

PARAMS: Mapping[str, float] = {"temperature": 0.0, "max_tokens": 220}
"""The same for every system, so that only the choice of models differs."""


class Options(Struct, frozen=True, kw_only=True):
    """How the demo asks: ``prefer`` from 0 (cost) to 1 (quality), ``full`` asks singles live."""

    prefer: float | None = None
    full: bool = False


class Stage(Protocol):
    """Where the demo is seen."""

    def loading(self, model: str) -> None:
        """A model is being loaded."""
        ...

    def lost(self, model: str, reason: str) -> None:
        """A model cannot be loaded; the demo goes on without it."""
        ...

    def asking(self, system: str, prompt: str, *, number: int, total: int) -> None:
        """A question is put to `system`."""
        ...

    def answered(self, number: int, row: Row) -> None:
        """emafusion has answered."""
        ...


class Play:
    """One run of the demo; ``rows`` holds what is done so far, should it be interrupted.

    Parameters
    ----------
    client : Client
        The engine.
    entries : sequence of Entry
        The questions.
    pool : sequence of Model
        The models that may be asked, all of them ready to be loaded.
    stage : Stage
        Where it is seen.
    recorded : Recorded, optional
        The single models' answers, for a run that does not ask them live.
    options : Options, optional
        How it asks.
    """

    def __init__(
        self,
        client: Client,
        entries: Sequence[Entry],
        *,
        pool: Sequence[Model],
        stage: Stage,
        recorded: Recorded | None = None,
        options: Options | None = None,
    ) -> None:
        self.rows: list[Row] = []
        self._client = client
        self._entries = entries
        self._pool = {model.name: model for model in pool}
        self._stage = stage
        self._recorded = recorded
        self._options = options or Options()

    @property
    def pool(self) -> list[Model]:
        """The models, less those that could not be loaded."""
        return list(self._pool.values())

    async def run(self) -> None:
        """Ask emafusion every question, then, in a full run, each single model."""
        await self._load()
        for number, entry in enumerate(self._entries, start=1):
            self._tell(OURS, number, entry)
            row = await self._ask(entry)
            if not self._options.full and self._recorded is not None:
                row = replace(row, singles=self._recorded.attempts(entry, self._pool.values()))
            self.rows.append(row)
            self._stage.answered(number, row)
        if self._options.full:
            # Model by model, so that no system finds its prompt in another's cache.
            for model in self._pool.values():
                await self._measure(model)

    def _tell(self, system: str, number: int, entry: Entry) -> None:
        prompt, total = entry.question.prompt, len(self._entries)
        self._stage.asking(system, prompt, number=number, total=total)

    async def _load(self) -> None:
        """Load the models now: no answer's latency should include it."""
        for name, model in list(self._pool.items()):
            provider = self._client.engine.providers[model.provider]
            if not isinstance(provider, Preparing):
                continue
            self._stage.loading(name)
            try:
                await provider.prepare(model)
            except EmafusionError as failure:
                self._stage.lost(name, str(failure))
                del self._pool[name]
        if not self._pool:
            raise UnavailableError("the demo has no model left to ask", "")

    async def _ask(self, entry: Entry) -> Row:
        asked: Knobs = {"params": PARAMS, "models": tuple(self._pool)}
        if self._options.prefer is not None:
            asked["prefer"] = self._options.prefer
        request = request_of(entry.question.prompt, **asked)
        try:
            answer = await self._client.engine.serve(request)
        except (ProviderError, BudgetError, RequestError) as failure:
            outcome = await self._client.find(request.id)
            return row_of(entry, outcome or _nothing(request), error=str(failure))
        return row_of(entry, answer.outcome)

    async def _measure(self, model: Model) -> None:
        for place, entry in enumerate(self._entries):
            self._tell(model.name, place + 1, entry)
            attempt = await self._attempt(entry, model)
            row = self.rows[place]
            self.rows[place] = replace(row, singles={**row.singles, model.name: attempt})

    async def _attempt(self, entry: Entry, model: Model) -> Attempt:
        ledger = Ledger(
            self._pool, self._client.engine.providers, clock=SystemClock(), limits=Limits()
        )
        messages = ({"role": "user", "content": entry.question.prompt},)
        text, error = "", None
        try:
            draft = await ledger.complete(model.name, messages, params=PARAMS)
            text = draft.text
        except ProviderError as failure:
            error = str(failure)
        return Attempt(
            score=0.0 if error is not None else entry.question.grade(text),
            cost_usd=ledger.spent,
            latency_s=sum(step.latency_s for step in ledger.steps),
            text=text,
            calls=tuple(call_of(step) for step in ledger.steps),
            error=error,
        )


async def pool_of(
    client: Client, lacking: Mapping[str, str], *, small: bool = False
) -> list[Model]:
    """The models that can be asked now, cheapest first; `small` leaves out large local ones.

    Raises :class:`UnavailableError` where there is none, saying what is `lacking`.
    """
    engine = client.engine
    local = local_models(list(engine.models.values()), engine.providers)
    large = {one.model.name for one in local} - {one.model.name for one in smaller(local)}
    allowed = engine.knobs.models or tuple(engine.models)
    pool = []
    for model in engine.models.values():
        if model.name not in allowed or model.name in lacking or (small and model.name in large):
            continue
        if await engine.providers[model.provider].healthy(model):
            pool.append(model)
    if not pool:
        reasons = "; ".join(dict.fromkeys(lacking.values()))
        raise UnavailableError(f"the demo has no model to ask{reasons and ': '}{reasons}", "")
    return sorted(pool, key=lambda model: model.usd_per_mtok_in + model.usd_per_mtok_out)


def _nothing(request: Request) -> Outcome:
    """The outcome of a request that was refused before anything was spent on it."""
    return Outcome(
        decision_id=request.id,
        created=0.0,
        prompt=request.text,
        labels=Labels(axes={}),
        forecast=Forecast(estimates=()),
        plan=None,
        steps=(),
        verdicts=(),
        model="",
        text="",
        confidence=0.0,
        cost_usd=0.0,
        latency_s=0.0,
    )
