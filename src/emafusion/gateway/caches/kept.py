"""An answer as a cache keeps it, and as it is given again.

Knows what of an answer is kept: what the next caller is shown, and nothing of the prompt.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from emafusion.gateway.caches.keys import UNWRITABLE
from emafusion.gateway.callers import Passage
from emafusion.record.rows import without_content
from emafusion.types import Answer, Forecast, Request


class Kept(Struct, frozen=True, kw_only=True, array_like=True):
    """One answer on a shelf: whose it is, when it was given (seconds since 1970), and all of it."""

    tenant: str
    stored: float
    answer: Answer


_DECODER = msgspec.msgpack.Decoder(Kept)


def packed(answer: Answer, *, tenant: str, now: float) -> bytes | None:
    """`answer` in bytes, without its prompt, steps and verdicts.

    ``None`` where it cannot be written down.
    """
    told = without_content(answer.outcome)
    plan = told.plan or answer.plan
    outcome = replace(
        told,
        plan=plan,
        steps=(),
        verdicts=(),
        origins=(),
        forecast=Forecast(estimates=()),
        parts=tuple(replace(p, prompt="", text="", verdicts=()) for p in answer.outcome.parts),
        caller="",
    )
    kept = Kept(tenant=tenant, stored=now, answer=replace(answer, plan=plan, outcome=outcome))
    try:
        return msgspec.msgpack.encode(kept)
    except UNWRITABLE:
        return None


def unpacked(data: bytes, *, tenant: str) -> Kept | None:
    """The answer in `data`; ``None`` where that is damaged or another tenant's."""
    try:
        kept = _DECODER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return kept if kept.tenant == tenant else None


def given_again(kept: Kept, request: Request, *, now: float, took_s: float) -> Answer:
    """The kept answer as the answer to `request`: a decision of its own, which cost nothing.

    Its outcome has no steps, and names in ``cached`` the decision that the answer was bought for.
    """
    answer = kept.answer
    outcome = replace(
        answer.outcome,
        decision_id=request.id,
        created=now,
        prompt=request.text,
        text=answer.text,
        cost_usd=0.0,
        latency_s=took_s,
        caller=request.caller,
        cached=answer.decision_id,
    )
    return replace(answer, decision_id=request.id, cost_usd=0.0, latency_s=took_s, outcome=outcome)


def tell(passage: Passage, status: str, *, kept: Kept | None = None, now: float = 0.0) -> None:
    """Note in the response's headers what a cache did: ``hit``, ``similar``, ``miss``."""
    passage.reply_headers["x-emafusion-cache"] = status
    if kept is not None:
        passage.reply_headers["age"] = str(max(0, int(now - kept.stored)))
        passage.reply_headers["x-emafusion-cached-decision"] = kept.answer.decision_id
