"""What a key allows: its models, its policies, its place on the dial, the least quality it gets.

The first of the gates. Knows a caller's terms and a request's knobs; who a caller is, others found.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from types import TracebackType

from emafusion.errors import ForbiddenError
from emafusion.gateway.callers import Caller, Passage
from emafusion.types import Knobs, replace


class TermsGate:
    """Keeps requests to what their caller's key allows, and fills in what it sets.

    `models` are the names of all there are now: a key may allow some that are gone.
    """

    def __init__(self, models: Callable[[], Collection[str]]) -> None:
        self._models = models

    def open(self, passage: Passage) -> _Entrance:
        """Hold `passage` to its caller's terms; entering raises ``ForbiddenError``."""
        return _Entrance(passage, self._models)


class _Entrance:
    def __init__(self, passage: Passage, models: Callable[[], Collection[str]]) -> None:
        self._passage = passage
        self._models = models

    async def __aenter__(self) -> None:
        passage = self._passage
        knobs = allowed(passage.request.knobs, passage.caller, self._models())
        if knobs is not passage.request.knobs:
            passage.request = replace(passage.request, knobs=knobs)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing is to be settled."""


def allowed(knobs: Knobs, caller: Caller, models: Collection[str]) -> Knobs:
    """`knobs` within what `caller` may ask for, of the `models` that there are.

    Raises
    ------
    ForbiddenError
        They name a model that the key may not use, or it may use none of those there are.
    """
    changed: dict[str, object] = {}
    if caller.models is not None:
        changed["models"] = _named(knobs, caller.models, models)
    if caller.prefer is not None and knobs.prefer is None:
        changed["prefer"] = caller.prefer
    if caller.min_quality is not None:
        changed["min_quality"] = max(caller.min_quality, knobs.min_quality or 0.0)
    return replace(knobs, **changed) if changed else knobs


def _named(knobs: Knobs, permitted: frozenset[str], models: Collection[str]) -> tuple[str, ...]:
    here = sorted(name for name in permitted if name in models)
    if not here:
        raise ForbiddenError(
            "this key may use none of the models that are configured now; allow it others"
        )
    if knobs.models is None:
        return tuple(here)
    for name in knobs.models:
        if name not in permitted:
            raise ForbiddenError(
                f"this key may not use model {name!r}; it may use: {', '.join(here)}"
            )
    return knobs.models
