"""What one call may cost at most: what a budget reserves for it.

Knows how long an answer is reserved for whose caller does not say; what the prompt comes to is
:mod:`emafusion.catalog.bounds`' affair, which the engine's own limit counts by as well.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from emafusion.catalog import bounds, tokens
from emafusion.catalog.bounds import LONGEST_ANSWER, Prompt
from emafusion.types import Model, Request

BESIDE: Final = 64
"""Tokens that a vendor's own template may add to a prompt."""
CHOICES: Final = 256
"""Choices of models that are remembered; callers may make any."""
_PRICES: Final = tuple(name for name in Model.__struct_fields__ if name.startswith("usd_per_mtok"))


def most_usd(model: Model, request: Request, prompt: Prompt) -> float:
    """What one call of `model` may cost for `request`, US dollars.

    The answer is as long as the request allows, else ``bounds.LONGEST_ANSWER``.
    """
    longest = min(request.max_tokens or LONGEST_ANSWER, model.max_output)
    usd = bounds.asking_usd(model, prompt, beside=BESIDE)
    usd += longest * bounds.answering_usd(model, prompt, beside=BESIDE)
    # A hair more: whoever divides by the price again must not find one token less.
    return usd * (1.0 + 1e-9)


class Dearest:
    """What one call may cost of whichever of several models is the dearest for a request.

    Of most choices of models a few are dearer than the others in every respect: only they need be
    priced for each request.
    """

    def __init__(self) -> None:
        self._models: Mapping[str, Model] = {}
        self._dear: dict[tuple[str, ...], Sequence[Model]] = {}

    def usd(self, request: Request, models: Mapping[str, Model], names: Collection[str]) -> float:
        """The most that one call of those of `models` that are named may cost; 0 without any."""
        if models is not self._models or len(self._dear) >= CHOICES:
            self._models, self._dear = models, {}
        chosen = tuple(names)
        found = self._dear.get(chosen)
        if found is None:
            found = dear([models[name] for name in chosen if name in models])
            self._dear[chosen] = found
        prompt = Prompt(request)
        tier = request.params.get("service_tier")
        if prompt.images or tier:  # what an image counts as and a tier costs, each vendor says
            priced = (models[name].at(tier) for name in chosen if name in models)
            found = [model for model in priced if model is not None]
        return max((most_usd(model, request, prompt) for model in found), default=0.0)


def dear(models: Sequence[Model]) -> Sequence[Model]:
    """`models` without those that cost no more than another for any prompt that has no images."""
    kept: list[Model] = []
    for model in models:
        if not any(_dearer(other, model) for other in kept):
            kept = [other for other in kept if not _dearer(model, other)]
            kept.append(model)
    return kept


def _dearer(one: Model, other: Model) -> bool:
    """Whether `one` costs at least as much as `other` in every respect; with tiers, never."""
    if one.tiers or other.tiers:
        return False
    return all(a >= b for a, b in zip(_respects(one), _respects(other), strict=True))


def _respects(model: Model) -> Sequence[float]:
    """Whatever makes a call dearer the more there is of it."""
    prices = (getattr(model, name) or 0.0 for name in _PRICES)
    return (*prices, model.context_window, model.max_output, tokens.count(model.system or ""))
