"""Which requests may be answered from a cache, which answers are kept, and what a caller wishes.

Knows the protocol's fields that make an answer depend on chance, and ``cache-control``. Keeps
nothing itself.
"""

from __future__ import annotations

import math
import re
from typing import Literal

from msgspec import Struct

from emafusion.errors import ConfigError
from emafusion.gateway.callers import Passage
from emafusion.types import Answer, Request

Mode = Literal["off", "ask", "on"]
"""``ask``: only for requests whose ``cache-control`` has a ``max-age``; ``on``: for all."""

_WHOLE_ONLY = ("logprobs", "top_logprobs", "audio")
_MAX_AGE = re.compile(r"max-age\s*=\s*\"?(\d{1,12})\"?$")


class Wishes(Struct, frozen=True, kw_only=True):
    """What a request's ``cache-control`` asks for (RFC 9111, section 5.2.1).

    ``store`` and ``reuse`` say whether its answer may be kept and a kept one given; ``max_age_s``
    is how old that may be.
    """

    store: bool = True
    reuse: bool = True
    max_age_s: float | None = None


class Rules(Struct, frozen=True, kw_only=True):
    """What a cache takes.

    ``ttl_s`` is how long an answer is kept, seconds. A request is taken whose ``temperature`` is at
    most ``max_temperature``, or unset where ``unset_temperature``. ``tool_calls`` keeps answers
    that call tools. ``max_bytes`` bounds a kept answer. ``waits`` lets equal
    requests wait for one under way, at most ``patience_s`` seconds.
    """

    ttl_s: float = 3600.0
    max_temperature: float = 0.0
    unset_temperature: bool = True
    tool_calls: bool = False
    max_bytes: int = 2**20
    waits: bool = True
    patience_s: float = 60.0

    def __post_init__(self) -> None:
        if not 0.0 < self.ttl_s < math.inf or self.max_bytes < 1 or self.patience_s < 0.0:
            raise ConfigError("a cache keeps answers for some time and takes some bytes")

    def take(self, request: Request) -> bool:
        """Whether `request` may be answered from a cache at all."""
        params = request.params
        if params.get("n") not in (None, 1) or any(params.get(name) for name in _WHOLE_ONLY):
            return False
        temperature = params.get("temperature")
        if temperature is None:
            return self.unset_temperature
        return isinstance(temperature, (int, float)) and temperature <= self.max_temperature

    def keep(self, answer: Answer) -> bool:
        """Whether `answer` may be given again: whole, without failures, and bought just now."""
        completion, outcome = answer.completion, answer.outcome
        if outcome.error is not None or outcome.cached:
            return False
        if any(piece.error is not None for piece in outcome.parts):
            return False
        calls = bool(completion.tool_calls) or completion.finish_reason == "tool_calls"
        if calls:
            # A streamed call's arguments are in its events alone: there is nothing to give again.
            return self.tool_calls and bool(completion.tool_calls)
        return completion.finish_reason == "stop" and bool(answer.text.strip())

    def fresh(self, stored: float, wish: Wishes, *, now: float) -> bool:
        """Whether what was `stored` then is young enough; a clock set back makes it new."""
        age_s = max(now - stored, 0.0)
        return age_s < self.ttl_s and (wish.max_age_s is None or age_s <= wish.max_age_s)


NO_WISHES = Wishes()


def wishes(header: str) -> Wishes:
    """What `header` says; a ``max-age`` that cannot be read is taken as 0, the cautious way."""
    if not header:
        return NO_WISHES
    told = [each.strip().lower() for each in header.split(",")]
    ages = [_age(each) for each in told if each.startswith("max-age")]
    return Wishes(
        store="no-store" not in told,
        reuse="no-store" not in told and "no-cache" not in told,
        max_age_s=min(ages) if ages else None,
    )


def wished(passage: Passage, mode: Mode, rules: Rules) -> Wishes | None:
    """What `passage` asks of a cache; ``None`` where the cache has no part in it."""
    if mode == "off" or passage.answer is not None:
        return None
    found = wishes(passage.cache_control)
    if not (found.store or found.reuse) or (mode == "ask" and found.max_age_s is None):
        return None
    return found if rules.take(passage.request) else None


def _age(directive: str) -> float:
    found = _MAX_AGE.match(directive)
    return float(found[1]) if found else 0.0
