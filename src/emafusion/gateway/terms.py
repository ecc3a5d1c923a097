"""What a key allows: its models, its policies, its place on the dial, the least quality it gets.

The first of the gates. Knows a caller's terms and a request's knobs; who a caller is, others found.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager

from emafusion.errors import ForbiddenError
from emafusion.gateway.callers import NOTHING, Caller, Passage
from emafusion.types import Knobs, Request, replace

DEFAULT = "default"
"""How keys name the policy of requests that name none."""
ELSEWHERE = (
    "models",
    "route",
    "fallbacks",
    "fallback_models",
    "context_window_fallbacks",
    "content_policy_fallbacks",
)
"""Fields by which routers, asked as upstreams, are told of further models."""
Pools = Sequence[Collection[str]]
"""Models that a request without a wish is answered by, the best liked first, last all there are."""
Chosen = Callable[[str | None], Knobs]
"""The knobs of a named policy; raises ``UnknownModelError`` where there is none."""


class TermsGate:
    """Keeps requests to what their caller's key allows, and fills in what it sets.

    `pools` are those of now: a key may allow models that are gone. `chosen` knows the policies that
    requests may name.
    """

    def __init__(self, pools: Callable[[], Pools], chosen: Chosen) -> None:
        self._pools = pools
        self._chosen = chosen

    def open(self, passage: Passage) -> AbstractAsyncContextManager[None]:
        """Hold `passage` to its caller's terms; raises ``ForbiddenError``."""
        caller, knobs = passage.caller, passage.request.knobs
        pools: Pools = ()
        if caller.models is not None:
            pools = self._pools()
            _unrouted(passage.request)
        policy = named(knobs, caller)
        if policy is not None:
            preset = self._chosen(policy)
            if caller.policies is not None:
                knobs = bound(knobs, preset, policy)
                if preset.models is not None:
                    _unrouted(passage.request)
            # A key takes models away from its policy's, and adds none.
            pools = pools if preset.models is None else (preset.models,)
            knobs = replace(knobs, policy=policy).over(replace(preset, models=None))
            knobs = allowed(knobs, caller, pools).over(Knobs(models=preset.models))
        else:
            knobs = allowed(knobs, caller, pools)
        if knobs is not passage.request.knobs:
            passage.request = replace(passage.request, knobs=knobs)
        return NOTHING


def _unrouted(request: Request) -> None:
    """Refuse what an upstream that is a router takes for another model than the one we name."""
    for name in ELSEWHERE:
        if request.params.get(name) is not None:
            raise ForbiddenError(
                f"this key is bound to its models, so {name!r} may not name others to an upstream"
            )


def bound(knobs: Knobs, preset: Knobs, policy: str) -> Knobs:
    """`knobs` within `preset`, for a key that is kept to policies: they may ask for less, not more.

    Raises
    ------
    ForbiddenError
        They name a model that the policy does not have.
    """
    for name in knobs.models or ():
        if preset.models is not None and name not in preset.models:
            raise ForbiddenError(
                f"policy {policy!r} does not have model {name!r}; its models are: "
                f"{', '.join(preset.models)}"
            )
    return replace(
        knobs,
        prefer=knobs.prefer if preset.prefer is None else preset.prefer,
        max_cost_usd=_least(knobs.max_cost_usd, preset.max_cost_usd),
        max_latency_s=_least(knobs.max_latency_s, preset.max_latency_s),
        arrangement=knobs.arrangement if preset.arrangement == "auto" else preset.arrangement,
        min_quality=max(knobs.min_quality or 0.0, preset.min_quality or 0.0) or None,
        explore=False if preset.explore is False else knobs.explore,
    )


def _least(one: float | None, other: float | None) -> float | None:
    return min((each for each in (one, other) if each is not None), default=None)


def named(knobs: Knobs, caller: Caller) -> str | None:
    """The policy that `caller` asks for by `knobs`, or the only one its key allows.

    Who names the model that shall answer leaves nothing to a policy.

    Raises
    ------
    ForbiddenError
        The key does not allow it, or allows several and the request names none.
    """
    may = caller.policies
    if may is None or knobs.policy in may:
        return knobs.policy
    by_name = knobs.models is not None and knobs.arrangement == "single" and len(knobs.models) == 1
    if knobs.policy is None and (by_name or DEFAULT in may):
        return None
    if knobs.policy is None and len(may) == 1:
        return next(iter(may))
    what = "names no policy" if knobs.policy is None else f"may not use policy {knobs.policy!r}"
    who = "this request" if knobs.policy is None else "this key"
    raise ForbiddenError(f"{who} {what}; its key allows: {', '.join(sorted(may)) or 'none'}")


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
