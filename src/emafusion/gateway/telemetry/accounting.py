"""What one outcome's money was spent on, and what a baseline would have spent instead.

Knows outcomes, forecasts and prices; it counts nothing up. Nothing else tells of savings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Literal

from emafusion.gateway.telemetry.given import given, own
from emafusion.types import Model, Outcome, Step, Usage, replace

Spent = Literal["draft", "discarded", "failed", "judge", "classifier", "synthesis"]
"""What a call's money went into: the answer's own text, text that nobody read, or opinions."""

_OTHERS: Mapping[str, Spent] = {"judge": "judge", "label": "classifier"}


def purposes(outcome: Outcome) -> Iterator[tuple[Step, Spent]]:
    """Each call of `outcome`, and what its money went into.

    A draft whose text is the answer's (of a composite prompt: a part's) is a ``draft``, and so is
    one that a synthesis took words from; other drafts were ``discarded``.
    """
    kept = {outcome.text, *(piece.text for piece in outcome.parts)}
    material = _material(outcome)
    place = 0
    for step in outcome.steps:
        spent = _OTHERS.get(step.purpose)
        if spent is None and step.error is not None:
            spent = "failed"
        elif spent is None and step.purpose == "write":
            spent = "synthesis" if step.text in kept else "discarded"
        elif spent is None:
            spent = "draft" if step.text in kept or place in material else "discarded"
            place += 1
        yield step, spent


def _material(outcome: Outcome) -> frozenset[int]:
    """The positions of the drafts that a synthesis took words from."""
    return frozenset(draft for origin in outcome.origins for draft in origin.drafts)


class Baseline:
    """What always asking one model would have cost: the configured one, else the dearest.

    It would have been asked the same once, and have given the same answer at its own prices; where
    it was asked, it is known what it cost.

    Parameters
    ----------
    models : callable
        The catalog as it is now.
    named : str, optional
        The model's name.
    """

    def __init__(self, models: Callable[[], Mapping[str, Model]], named: str | None = None) -> None:
        self._models = models
        self._named = named
        self._dearest = ""
        self._thinking: set[str] = set()
        self._of: Mapping[str, Model] | None = None

    @property
    def model(self) -> str:
        """Its name; empty where there is no model at all."""
        models = self._models()
        if self._named is not None or models is self._of:
            return self._named or self._dearest
        self._of = models
        talking = [name for name in models if "embeddings" not in models[name].capabilities]
        self._dearest = max(talking, key=lambda name: _price(models[name]), default="")
        return self._dearest

    def cost(self, outcome: Outcome) -> float | None:
        """US dollars it would have cost to give the answer of `outcome`.

        Where it was asked the whole request itself, what that did cost; 0 where no answer was
        given. ``None`` where there is nothing to compare: nobody was asked, the caller named the
        model, or the baseline could not have been asked.
        """
        self._thinking.update(step.model for step in outcome.steps if step.usage.reasoning_tokens)
        model = self._models().get(self.model)
        forecast = outcome.forecast
        # Who cannot see a request, or is down, has no estimate.
        if model is None or len(forecast.estimates) < 2 or forecast.get(model.name) is None:
            return None
        if not outcome.steps:
            return None
        asked = own(outcome, model.name)
        if asked is not None:
            return asked.cost_usd
        tier = next((step.service_tier for step in outcome.steps if step.service_tier), None)
        priced = model.at(tier)
        if priced is None:
            return None
        usage = given(outcome)
        return 0.0 if usage is None else priced.cost(self._as_of(model, usage))

    def _as_of(self, model: Model, usage: Usage) -> Usage:
        """`usage` without the thinking before the answer, where `model` was not seen to think."""
        if model.name in self._thinking or not usage.reasoning_tokens:
            return usage
        said = max(usage.completion_tokens - usage.reasoning_tokens, 0)
        return replace(usage, completion_tokens=said, reasoning_tokens=0)


def _price(model: Model) -> float:
    # An answer's tokens are most of a bill: three parts in four.
    return model.usd_per_mtok_in + 3.0 * model.usd_per_mtok_out
