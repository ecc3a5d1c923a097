"""Whether a composite prompt is answered part by part, and the plan that does it.

Knows the parts' own plans and what one model for the whole would cost; splits nothing itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from emafusion.catalog import tokens
from emafusion.plan.parameters import formless
from emafusion.types import (
    Branch,
    Decompose,
    Forecast,
    Part,
    Plan,
    Request,
    Split,
    content_text,
    replace,
)

BOUNDS = ("max_tokens", "max_completion_tokens")
LEAST_TOKENS = 512
"""A bound on the answer below which several answers would not find room in it."""
ORDERS = re.compile(
    r"\b(?:json|xml|yaml|csv|html|table|format|only|never|don['’]t|do not|always|must)\b",
    re.IGNORECASE,
)
"""Words with which a conversation so far has laid down a form that parts would not keep."""


def divisible(request: Request) -> bool:
    """Whether `request` may be answered in parts: one user's text, in any form."""
    if request.knobs.arrangement != "auto" or not formless(request):
        return False
    last = request.messages[-1] if request.messages else {}
    plain = last.get("role") == "user" and isinstance(last.get("content"), str)
    told = any(ORDERS.search(content_text(message)) for message in request.messages[:-1])
    roomy = all(_tokens(request.params, name) >= LEAST_TOKENS for name in BOUNDS)
    return plain and roomy and not told


def requests(request: Request, split: Split) -> list[Request]:
    """A request of its own for each part: the conversation so far, and the part as its end.

    Of ``max_cost_usd`` each gets an even share of one half, and of the other what its length has of
    all parts'; of ``max_tokens`` an even share.
    """
    *before, last = request.messages
    sizes = [tokens.count(part.text) + 1 for part in split.parts]
    limit = request.knobs.max_cost_usd
    found = []
    for number, (part, size) in enumerate(zip(split.parts, sizes, strict=True)):
        share = None if limit is None else limit * (size / sum(sizes) + 1 / len(sizes)) / 2
        found.append(
            Request(
                id=f"{request.id}/{number + 1}",
                messages=(*before, {**last, "content": part.text}),
                params=_shared(request.params, len(sizes)),
                knobs=replace(request.knobs, max_cost_usd=share),
            )
        )
    return found


def _tokens(params: Mapping[str, object], name: str) -> int:
    value = params.get(name)
    return value if isinstance(value, int) else LEAST_TOKENS


def _shared(params: Mapping[str, object], count: int) -> dict[str, object]:
    """`params` with bounds on the whole answer divided among the parts."""
    return {
        name: value // count if name in BOUNDS and isinstance(value, int) else value
        for name, value in params.items()
    }


def composed(
    split: Split, plans: Sequence[Plan], forecasts: Sequence[Forecast], *, repeated: float
) -> Plan | None:
    """The plan that answers `split` part by part; ``None`` where one model does it for less.

    Each part's plan was chosen over every single model for that part, so parts are worth no less
    than one model asked for everything, taken to be as good at each as if it had been asked for
    that alone (DESIGN §2.3). What they cost more is the conversation sent again with each.

    Parameters
    ----------
    split : Split
    plans, forecasts : sequence
        Of each part, in order.
    repeated : float in [0, 1)
        The share of the parts' prompts that one prompt for all would not have to repeat.
    """
    price = max(plan.usd_per_quality for plan in plans)
    quality = sum(plan.quality for plan in plans)
    cost = sum(plan.cost_usd for plan in plans)
    worth, bill = _together(forecasts, price)
    gained = max(price * quality - cost - worth, 0.0)
    if repeated * bill > gained:
        return None
    branches = tuple(Branch(part=p, plan=q) for p, q in zip(split.parts, plans, strict=True))
    return Plan(
        arrangement=Decompose(branches=branches, source=split.source),
        quality=quality / len(plans),
        cost_usd=cost,
        latency_s=_latency(split.parts, plans),
        usd_per_quality=price,
        reason=f"asks {len(plans)} things; each is answered by its own plan for ${cost:.6f}",
    )


def _together(forecasts: Sequence[Forecast], price: float) -> tuple[float, float]:
    """The worth of asking the best one model for everything, and what it would cost, in dollars."""
    found = (float("-inf"), 0.0)
    for one in forecasts[0].estimates:
        same = [forecast.get(one.model) for forecast in forecasts]
        known = [estimate for estimate in same if estimate is not None]
        if len(known) == len(forecasts):
            bill = sum(estimate.cost_usd for estimate in known)
            worth = price * sum(estimate.quality for estimate in known) - bill
            found = max(found, (worth, bill))
    return found


def repetition(request: Request, parts: Sequence[Request]) -> float:
    """The share of the parts' prompt tokens that is the conversation so far over again."""
    before = tokens.count_messages(request.messages[:-1]) if len(request.messages) > 1 else 0
    apart = sum(tokens.count_messages(part.messages) for part in parts)
    return before * (len(parts) - 1) / max(apart, 1)


def _latency(parts: Sequence[Part], plans: Sequence[Plan]) -> float:
    """Seconds until the last part is done, each beginning when those it needs are done."""
    done: list[float] = []
    for part, plan in zip(parts, plans, strict=True):
        done.append(max((done[need] for need in part.after), default=0.0) + plan.latency_s)
    return max(done)
