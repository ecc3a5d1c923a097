"""Now and then another judgement of an answer that was given, after the reply, to learn from it.

Knows which answers may be checked, by whom, how often and at what cost. It judges nothing but
whether two answers say the same; what follows from that, others know.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

from msgspec import Struct

from emafusion import answers
from emafusion.errors import BadResponseError, DeadlineError, EmafusionError, RequestError
from emafusion.execute import Ledger, Limits
from emafusion.learn.online import Daily
from emafusion.plan.eligible import eligible
from emafusion.protocols import Clock, Provider, Recorder
from emafusion.providers.ending import BrokenOff
from emafusion.types import Estimate, Forecast, Model, Outcome, Request, Verdict, replace

log = logging.getLogger("emafusion.checks")

PREFIX: Final = "check:"
"""Of a check's identifier in the record, before that of the decision it checked."""
DOUBTED: Final = 0.25
"""The share of the answers of a model that was found changed, until it is what it was."""
AT_ONCE: Final = 4
"""Checks under way, at most; a further one is not begun."""
LONGEST_S: Final = 60.0
WIDER: Final = 4.0
"""Times its expected cost that a check may cost: an answer may be longer than most."""
UNKNOWN: Final = (BadResponseError, DeadlineError, BrokenOff)
"""Failures after which nobody knows what the call cost."""
LAST_S: Final = 5.0
"""Seconds that checks under way get when the client is closed."""
STEERED: Final = ("tools", "functions", "n")
"""Parameters of requests that are not checked: their answers are not one text."""


class Terms(Struct, frozen=True, kw_only=True):
    """How many answers are checked, and what that may cost.

    ``share`` of the answers, for at most the share ``budget`` of what answers cost so far, and at
    most ``max_usd`` US dollars in all.
    """

    share: float
    budget: float = 0.02
    max_usd: float | None = None


class Account(Struct, frozen=True, kw_only=True):
    """What became of it so far: answers seen, checks begun, US dollars of both, and set aside."""

    seen: int = 0
    checked: int = 0
    answers_usd: float = 0.0
    checks_usd: float = 0.0
    reserved_usd: float = 0.0

    def left(self, terms: Terms) -> float:
        """US dollars that checks may yet cost."""
        most = terms.budget * self.answers_usd
        most = most if terms.max_usd is None else min(most, terms.max_usd)
        return most - self.checks_usd - self.reserved_usd


def checked(decision_id: str) -> str | None:
    """The decision that the record `decision_id` is a check of; ``None`` where it is none."""
    return decision_id.removeprefix(PREFIX) if decision_id.startswith(PREFIX) else None


class SampledChecks:
    """Asks the model that promises most among those cleared whether it says the same.

    Only answers that can be compared are checked (a choice, a number, a short phrase), and none
    whose caller forbids learning by `explore`. The bounds hold for one process. A check is begun
    only where :data:`WIDER` times its expected cost is left, and its answer is cut where that would
    be spent by our count of tokens; what the upstream bills beyond it counts against later checks.
    A check whose end nobody knows (no answer in time, cancelled) counts as if all were spent.

    Parameters
    ----------
    terms : Terms
        The bounds.
    models : mapping of str to Model
        The catalog.
    providers : mapping of str to Provider
        By the name that models use.
    clock : Clock
        The time.
    recorder : Recorder
        Where checks go, as decisions of their own with steps of purpose ``"check"``.
    chance : callable, optional
        A number in [0, 1) for each answer.

    Attributes
    ----------
    doubted : callable
        Tells which models were found changed: :data:`DOUBTED` of their answers are checked, and
        they check no others.
    account : Account
        What became of it so far.
    """

    def __init__(
        self,
        terms: Terms,
        *,
        models: Mapping[str, Model],
        providers: Mapping[str, Provider],
        clock: Clock,
        recorder: Recorder,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.terms = terms
        self.account = Account()
        self.doubted: Callable[[], Collection[str]] = frozenset
        self._models, self._providers = models, providers
        self._clock, self._recorder = clock, recorder
        self._chance = chance
        self._under_way: set[asyncio.Task[None]] = set()
        # US dollars set aside for each of them, until it is known what it cost.
        self._bounds: dict[asyncio.Task[None], float] = {}
        self._daily = Daily()
        # Requests of several event loops share one account.
        self._lock = threading.Lock()

    def consider(self, request: Request, outcome: Outcome, *, models: Sequence[Model]) -> None:
        """Begin a check of `outcome` by one of `models`, those cleared for `request`, or do not.

        Returns at once; the check runs in the event loop of the caller.
        """
        self._drop()
        doubted = self.doubted()
        often = outcome.model in doubted
        share = max(self.terms.share, DOUBTED) if often else self.terms.share
        drawn = self._chance() < share and len(self._under_way) < AT_ONCE
        # What would count for nothing is not paid for.
        drawn = drawn and self._daily.open(request.caller, outcome.model, at=self._clock.now())
        judge = self._judge(request, outcome, models=models, doubted=doubted) if drawn else None
        bound = self._open(outcome, judge)
        if judge is None or bound is None:
            return
        self._daily.count(request.caller, outcome.model)
        work = self._check(request, outcome, judge.model, bound=bound)
        task = asyncio.get_running_loop().create_task(work)
        self._bounds[task] = bound
        self._under_way.add(task)
        task.add_done_callback(self._ended)

    async def aclose(self) -> None:
        """Wait a little for what is under way in this event loop, and end the rest."""
        self._drop()
        here = asyncio.get_running_loop()
        mine = [one for one in tuple(self._under_way) if one.get_loop() is here]
        for other in self._under_way.difference(mine):
            try:
                other.get_loop().call_soon_threadsafe(other.cancel)
            except RuntimeError:  # its loop was closed this moment: nothing of it runs any more
                self._ended(other)
        if mine:
            _, late = await asyncio.wait(mine, timeout=LAST_S)
            for one in late:
                one.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _drop(self) -> None:
        """Forget what was under way in event loops that were closed: it never ends."""
        # A copy: requests of other event loops begin checks meanwhile.
        for task in tuple(self._under_way):
            if task.get_loop().is_closed():
                self._ended(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._settle(task)

    def _judge(
        self,
        request: Request,
        outcome: Outcome,
        *,
        models: Sequence[Model],
        doubted: Collection[str],
    ) -> Estimate | None:
        """Who is asked: the best of those that may be, if the answer can be compared at all."""
        if request.knobs.explore is False or any(name in request.params for name in STEERED):
            return None
        if outcome.error is not None or outcome.parts or outcome.origins:
            return None
        if _said(request, outcome.text) is None:
            return None
        try:
            able = eligible(request, models)
        except RequestError:
            return None
        told = [outcome.forecast.get(one.name) for one in able if one.name not in doubted]
        others = [one for one in told if one is not None and one.model != outcome.model]
        return max(others, key=lambda one: one.quality, default=None)

    def _open(self, outcome: Outcome, judge: Estimate | None) -> float | None:
        """Count an answer, and set aside what its check may cost; ``None`` without the money."""
        with self._lock:
            account = self.account
            account = replace(
                account,
                seen=account.seen + 1,
                answers_usd=account.answers_usd + outcome.cost_usd,
            )
            bound = None if judge is None else self._bound(judge, account)
            if bound is not None:
                account = replace(
                    account,
                    checked=account.checked + 1,
                    reserved_usd=account.reserved_usd + bound,
                )
            self.account = account
        return bound

    def _bound(self, judge: Estimate, account: Account) -> float | None:
        """US dollars that a call to `judge` may cost; ``None`` where there are not so many left."""
        if self._free(judge.model):
            return 0.0
        bound = WIDER * judge.cost_usd
        # What has a price does not cost nothing: of such a forecast no bound is to be had.
        return bound if 0.0 < bound <= account.left(self.terms) else None

    def _free(self, model: str) -> bool:
        one = self._models[model]
        return one.usd_per_mtok_in == one.usd_per_mtok_out == 0.0

    async def _check(self, request: Request, outcome: Outcome, judge: str, *, bound: float) -> None:
        """Ask `judge` the same, and put on record whether it says the same."""
        most = None if self._free(judge) else bound
        limits = Limits(max_cost_usd=most, max_latency_s=LONGEST_S)
        ledger = Ledger(self._models, self._providers, clock=self._clock, limits=limits)
        ledger.restrict([judge])
        text, error, known = "", "", False
        try:
            draft = await ledger.complete(
                judge, request.messages, purpose="check", params=request.params
            )
            text, known = draft.text, True
        except EmafusionError as failure:
            error = f"{type(failure).__name__}: {failure}"
            known = not isinstance(failure, UNKNOWN)
        finally:
            self._settle(asyncio.current_task(), ledger.spent if known else None)
            found = _record(request, outcome, ledger, judge=judge, text=text)
            found = replace(found, created=self._clock.now(), error=error or found.error)
            if ledger.steps:
                await asyncio.shield(self._kept(found))

    def _settle(self, task: asyncio.Task[None] | None, spent: float | None = None) -> None:
        """Count what a check cost, once: what was set aside where that is not known."""
        with self._lock:
            bound = None if task is None else self._bounds.pop(task, None)
            if bound is None:
                return
            self.account = replace(
                self.account,
                checks_usd=self.account.checks_usd + (bound if spent is None else spent),
                reserved_usd=self.account.reserved_usd - bound,
            )

    async def _kept(self, found: Outcome) -> None:
        try:
            await self._recorder.record(found)
        except EmafusionError as failure:
            log.warning("a check is lost: %s", failure)


def _said(request: Request, text: str) -> str | None:
    """The canonical answer in `text`, where it has one that another may equal.

    Two programs that do the same are seldom the same text.
    """
    kind = answers.guess_kind(request.text)
    return None if kind == "code" else answers.shareable(text, kind)


def _record(
    request: Request, outcome: Outcome, ledger: Ledger, *, judge: str, text: str
) -> Outcome:
    """The check as a decision of its own, which nobody asked for."""
    mine, theirs = _said(request, outcome.text), _said(request, text) if text else None
    score = None if theirs is None else float(mine == theirs)
    verdict = Verdict(judge="check", draft=0, score=score, reason=f"on {outcome.model}")
    return replace(
        outcome,
        decision_id=f"{PREFIX}{outcome.decision_id}",
        forecast=Forecast(estimates=()),
        plan=None,
        steps=tuple(ledger.steps),
        verdicts=(verdict,),
        model=judge,
        text=text,
        confidence=0.0,
        cost_usd=ledger.spent,
        latency_s=ledger.elapsed,
        finish_reason="stop" if text else "",
        tier=0,
        error=None if text else "no answer",
        combining="",
    )
