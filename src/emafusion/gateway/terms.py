"""What a key allows: its models, its policies, its place on the dial, the least quality it gets.

The first of the gates. Knows a caller's terms and a request's knobs; who a caller is, others found.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from types import TracebackType

from emafusion.errors import ForbiddenError
from emafusion.gateway.callers import Caller, Passage
from emafusion.types import Knobs, replace

Pools = Sequence[Collection[str]]
"""Models that a request without a wish is answered by, the best liked first, last all there are."""


class TermsGate:
    """Keeps requests to what their caller's key allows, and fills in what it sets.

    `pools` are those of now: a key may allow models that are gone.
    """

    def __init__(self, pools: Callable[[], Pools]) -> None:
        self._pools = pools

    def open(self, passage: Passage) -> _Entrance:
        """Hold `passage` to its caller's terms; entering raises ``ForbiddenError``."""
        return _Entrance(passage, self._pools)


class _Entrance:
    def __init__(self, passage: Passage, pools: Callable[[], Pools]) -> None:
        self._passage = passage
        self._pools = pools

    async def __aenter__(self) -> None:
        passage = self._passage
        pools = () if passage.caller.models is None else self._pools()
        knobs = allowed(passage.request.knobs, passage.caller, pools)
        if knobs is not passage.request.knobs:
            passage.request = replace(passage.request, knobs=knobs)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing is to be settled."""


def allowed(knobs: Knobs, caller: Caller, pools: Pools) -> Knobs:
    """`knobs` within what `caller` may ask for.

    Where neither names models, the first of `pools` answers that holds any the key allows: a key
    takes models away from what the settings chose, and adds none while one of theirs is left.

    Raises
    ------
    ForbiddenError
        They name a model that the key may not use, or it may use none of those there are.
    """
    changed: dict[str, object] = {}
    if caller.models is not None:
        changed["models"] = _named(knobs, caller.models, pools)
    if caller.prefer is not None and knobs.prefer is None:
        changed["prefer"] = caller.prefer
    if caller.min_quality is not None:
        changed["min_quality"] = max(caller.min_quality, knobs.min_quality or 0.0)
    return replace(knobs, **changed) if changed else knobs


def _named(knobs: Knobs, permitted: frozenset[str], pools: Pools) -> tuple[str, ...]:
    found = [tuple(sorted(permitted.intersection(pool))) for pool in pools]
    if not found[-1]:
        raise ForbiddenError(
            "this key may use none of the models that are configured now; allow it others"
        )
    if knobs.models is None:
        return next(filter(None, found))
    for name in knobs.models:
        if name not in permitted:
            raise ForbiddenError(
                f"this key may not use model {name!r}; it may use: {', '.join(found[-1])}"
            )
    return knobs.models
