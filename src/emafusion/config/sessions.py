"""Conversations, and the models whose prompt caches still hold them.

A vendor charges less for a prompt whose beginning it read a moment ago. Asking the model that
answered the last turn is then cheaper than its price list says, and routing that does not know so
raises the bill. Nothing here chooses a model: expected costs are corrected before the plan is made,
and the plan weighs them. Knows what was sent where, and when; it keeps no text.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from emafusion.catalog import tokens
from emafusion.protocols import Clock
from emafusion.types import Estimate, Forecast, Model, Outcome, Request, Step, replace

KEPT_S: Final = 300.0
"""How long a vendor keeps a prompt that is not asked again: five minutes at most of them."""
SHORTEST: Final = 1024
"""Prompt tokens below which vendors cache nothing."""
MOST: Final = 20_000
"""Conversations remembered; the one that was silent longest goes first."""
DOUBT: Final = 4.0
"""Turns that the first guess of a cache's reliability is worth."""
FIRST_GUESS: Final = 0.5
_TOLD: Final = msgspec.json.Decoder(dict[str, tuple[int, float]])
"""By model: prompt tokens, and when they were sent, seconds since 1970."""


class Sessions:
    """What the prompt caches hold of conversations under way.

    Parameters
    ----------
    clock : Clock
        The time.
    kept_s : float
        Seconds after its last turn for which a conversation is counted on.
    most : int
        Conversations remembered.
    """

    def __init__(self, clock: Clock, *, kept_s: float = KEPT_S, most: int = MOST) -> None:
        self._clock = clock
        self._kept_s = kept_s
        self._most = most
        self._turns: OrderedDict[str, dict[str, tuple[int, float]]] = OrderedDict()
        # By model: tokens that caches were seen to hold, of tokens that they were hoped to hold.
        self._held: dict[str, tuple[float, float]] = {}
        self._guard = threading.Lock()

    def priced(self, request: Request, forecast: Forecast, models: Sequence[Model]) -> Forecast:
        """`forecast` with the costs of `models` less what their caches are expected to save.

        Saved are the tokens that a model was last sent in this conversation, as far as `request`
        has so many, times what its price list takes off for a cached one, times how often its
        caches were found to hold what was hoped for. What costs something still does.
        """
        turns = self._alive(request.session)
        if not turns:
            return forecast
        # A conversation that was cut short in between has nothing beyond its end in any cache.
        sent = tokens.expected(request.messages)
        savings = {
            model.name: self._saving(model, min(turns[model.name], sent))
            for model in models
            if model.name in turns
        }
        if not any(one.share for one in savings.values()):
            return forecast
        return replace(
            forecast,
            estimates=tuple(_cheaper(one, savings) for one in forecast.estimates),
        )

    def note(self, request: Request, outcome: Outcome) -> None:
        """Remember what each model was sent in `request`, and what its cache held of it."""
        if not request.session:
            return
        now, before = self._clock.tick(), self._alive(request.session)
        drafts = [step for step in outcome.steps if _counts(step)]
        if not drafts:
            return
        with self._guard:
            turns = dict(self._turns.get(request.session, {}))
            for step in drafts:
                hoped = before.get(step.model, 0)
                if hoped >= SHORTEST:
                    self._learn(step, hoped)
                turns[step.model] = (step.usage.prompt_tokens, now)
            self._keep(request.session, turns)

    def reliability(self, model: str) -> float:
        """The share of what `model`'s cache was hoped to hold that it did, as far as is known."""
        held, hoped = self._held.get(model, (0.0, 0.0))
        return (held + FIRST_GUESS * DOUBT) / (hoped + DOUBT)

    def told(self, session: str) -> bytes:
        """What caches are thought to hold of `session`, for :meth:`hear` of another process."""
        steady, wall = self._clock.tick(), self._clock.now()
        with self._guard:
            turns = dict(self._turns.get(session, {}))
        # Steady clocks of two machines have nothing in common.
        return msgspec.json.encode(
            {name: (sent, wall - (steady - when)) for name, (sent, when) in turns.items()}
        )

    def hear(self, session: str, told: bytes) -> None:
        """Take in what another process :meth:`told` of `session`, where it is the newer."""
        steady, wall = self._clock.tick(), self._clock.now()
        with self._guard:
            turns = dict(self._turns.get(session, {}))
            for name, (sent, noted) in _TOLD.decode(told).items():
                when = steady - max(wall - noted, 0.0)
                if name not in turns or turns[name][1] < when:
                    turns[name] = (sent, when)
            if turns:
                self._keep(session, turns)

    def _alive(self, session: str) -> Mapping[str, int]:
        """Prompt tokens that each model was last sent in `session`, not too long ago."""
        if not session:
            return {}
        now = self._clock.tick()
        with self._guard:
            turns = dict(self._turns.get(session, {}))
        return {
            name: tokens for name, (tokens, when) in turns.items() if now - when <= self._kept_s
        }

    def _keep(self, session: str, turns: dict[str, tuple[int, float]]) -> None:
        self._turns[session] = turns
        self._turns.move_to_end(session)
        while len(self._turns) > self._most:
            self._turns.popitem(last=False)

    def _saving(self, model: Model, held: float) -> _Saving:
        """What is taken off where the cache of `model` is hoped to hold so many tokens."""
        price, cached = model.usd_per_mtok_in, model.usd_per_mtok_cached
        if held < SHORTEST or cached is None or price <= 0.0:
            return _Saving(share=0.0, usd=0.0)
        share = self.reliability(model.name) * max(1.0 - cached / price, 0.0)
        return _Saving(share=share, usd=held * price / 1e6)

    def _learn(self, step: Step, hoped: int) -> None:
        """One turn more: the share that was held, capped since a prompt may hold other prefixes."""
        held, turns = self._held.get(step.model, (0.0, 0.0))
        share = min(step.usage.cached_tokens / hoped, 1.0)
        self._held[step.model] = (held + share, turns + 1.0)


def _counts(step: Step) -> bool:
    """Whether a cache may hold what `step` sent: a draft, long enough, that the model answered."""
    answered = step.purpose == "draft" and step.error is None and step.part is None
    return answered and step.usage.prompt_tokens >= SHORTEST


class _Saving(Struct, frozen=True, kw_only=True):
    """A `share`, less than 1, is taken off so many US dollars' worth of the prompt."""

    share: float
    usd: float


def _cheaper(estimate: Estimate, savings: Mapping[str, _Saving]) -> Estimate:
    saving = savings.get(estimate.model)
    if saving is None or not saving.share:
        return estimate
    # The prompt is part of the expected cost: no more than that can have a share taken off.
    less = saving.share * min(saving.usd, estimate.cost_usd)
    return replace(estimate, cost_usd=estimate.cost_usd - less)
