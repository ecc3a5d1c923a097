"""Who the callers are: every key in memory, as fresh as the last look at the database.

Checking a key asks nobody. One cheap query twice a second learns whether anything changed, and
fetches what did. Knows keys, teams and which budgets exist; not what is spent.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from msgspec import Struct

from emafusion.databases import Connection
from emafusion.errors import StoreError, StoreUnreachableError
from emafusion.gateway.accounts import rows, tokens
from emafusion.gateway.accounts.database import Line
from emafusion.gateway.accounts.rows import BudgetRow, Credential
from emafusion.gateway.accounts.terms import PERIODS, Budget, Key, Team, Terms
from emafusion.gateway.accounts.tokens import Digest
from emafusion.gateway.callers import Caller

log = logging.getLogger("emafusion.gateway")

POLL_S = 0.5
GRACE_S = 60.0
LOOK_S = 5.0
"""How long a caller whose key is not known waits for the database, seconds."""
GAP_S = 0.05
"""Callers whose key is not known make the directory look at the database no more often."""


class Rates(Struct, frozen=True, kw_only=True):
    """What ``holder``, ``key:ID`` or ``team:NAME``, may ask for a minute; ``None`` is no bound."""

    holder: str
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    usd_per_minute: float | None = None


class _Entry(Struct, frozen=True):
    caller: Caller
    digest: Digest
    old: Digest
    old_until: float
    alive: bool
    expires: float


class _Changes(Struct, frozen=True, kw_only=True):
    edition: int
    keys: Sequence[Credential] = ()
    teams: Sequence[tuple[Team, bool]] = ()
    budgets: Sequence[BudgetRow] = ()


_NOBODY = _Entry(Caller(), tokens.NOTHING, tokens.NOTHING, 0.0, False, 0.0)


class Directory:
    """Knows callers by the token they send.

    Parameters
    ----------
    line : Line
        The database, and a thread of its own to it.
    clock : callable
        Seconds since 1970.
    poll_s : float
        How often to ask whether anything changed, seconds.
    grace_s : float
        How long keys are good while the database does not answer, seconds.
    ticks : callable
        Seconds on a clock that nobody sets.
    look_s : float
        How long a caller whose key is not known waits for the database, seconds.
    """

    def __init__(
        self,
        line: Line,
        *,
        clock: Callable[[], float] = time.time,
        poll_s: float = POLL_S,
        grace_s: float = GRACE_S,
        ticks: Callable[[], float] = time.monotonic,
        look_s: float = LOOK_S,
    ) -> None:
        self.models: Mapping[str, Sequence[Budget]] = {}
        self._line = line
        self._clock = clock
        self._poll_s = poll_s
        self._grace_s = grace_s
        self._ticks = ticks
        self._look_s = look_s
        self._edition = 0
        self._keys: dict[str, Credential] = {}
        self._teams: dict[str, Team] = {}
        self._budgets: dict[str, dict[str, Budget]] = {}
        self._entries: dict[str, _Entry] = {}
        # By key and team: what came before its key changed teams is still bound by the old one.
        self._held: dict[tuple[str, str], tuple[Budget, ...]] = {}
        self._rates: dict[tuple[str, str], tuple[Rates, ...]] = {}
        self._fresh_at = float("-inf")
        self._asking: list[asyncio.Future[None]] = []
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.trouble: StoreError | None = None

    async def begin(self) -> None:
        """Read everything, and go on reading; raises :class:`StoreError`."""
        await self._look()
        self._task = asyncio.create_task(self._run())

    async def aclose(self) -> None:
        """Stop reading."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        for future in self._asking:
            future.cancel()

    async def identify(self, token: str) -> Caller | None:
        """Who sends `token`; ``None`` where it is no key's, or of one that has ended.

        A token that is not known may be newer than the last look, so before it is refused the
        database is asked. An unknown id takes the same steps as a wrong secret.

        Raises
        ------
        StoreUnreachableError
            The database has not answered for longer than the grace period, or not at all since a
            token arrived that is not known.
        """
        if self._ticks() - self._fresh_at > self._grace_s:
            raise StoreUnreachableError(
                f"keys cannot be checked: the accounts have not answered for {self._grace_s:g} s"
            )
        found = self._check(token)
        if found is None:
            await self._another_look()
            found = self._check(token)
        return found

    def budgets(self, caller: Caller) -> tuple[Budget, ...]:
        """The budgets of `caller`'s key, then its team's, the shortest period first."""
        held = self._held.get((caller.key, caller.team))
        if held is None:
            holders = (f"key:{caller.key}", f"team:{caller.team}")
            held = tuple(
                self._budgets[holder][period]
                for holder in holders
                for period in PERIODS
                if period in self._budgets.get(holder, ())
            )
            self._held[caller.key, caller.team] = held
        return held

    def rates(self, caller: Caller) -> tuple[Rates, ...]:
        """What `caller`'s key and its team may ask for per minute, where anything bounds it."""
        found = self._rates.get((caller.key, caller.team))
        if found is None:
            found = self._rates[caller.key, caller.team] = self._rated(caller)
        return found

    def _rated(self, caller: Caller) -> tuple[Rates, ...]:
        one, team = self._keys.get(caller.key), self._teams.get(caller.team)
        found = []
        if one is not None:
            found.append(_rates(f"key:{caller.key}", one.key.terms))
        if team is not None:
            found.append(_rates(f"team:{team.name}", team.terms))
        return tuple(rates for rates in found if rates is not None)

    def _check(self, token: str) -> Caller | None:
        """The same work whatever is wrong: both hashes, whether or not the id is known."""
        id, secret = tokens.split(token)
        entry = self._entries.get(id, _NOBODY)
        now = self._clock()
        fits = entry.digest.fits(secret)
        fitted = entry.old.fits(secret) & (now < entry.old_until)
        known = (fits | fitted) & entry.alive & (now < entry.expires)
        return entry.caller if known else None

    async def _another_look(self) -> None:
        """Wait for a look that begins from now on."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asking.append(future)
        self._woken.set()
        try:
            async with asyncio.timeout(self._look_s):
                await future
        except TimeoutError:
            raise StoreUnreachableError(
                f"this key cannot be checked: the accounts did not answer for {self._look_s:g} s"
            ) from None

    async def _run(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._poll_s):
                    await self._woken.wait()
            self._woken.clear()
            asking, self._asking = self._asking, []
            try:
                await self._look()
            except StoreError as error:
                self._in_trouble(error)
            else:
                self._in_trouble(None)
            self._tell(asking)
            await asyncio.sleep(GAP_S)

    def _tell(self, asking: Sequence[asyncio.Future[None]]) -> None:
        for future in asking:
            if future.done():
                continue
            if self.trouble is None:
                future.set_result(None)
            else:
                future.set_exception(
                    StoreUnreachableError(f"this key cannot be checked: {self.trouble}")
                )

    def _in_trouble(self, error: StoreError | None) -> None:
        if error is not None and self.trouble is None:
            log.warning("keys are checked as they were %g s ago at most: %s", self._grace_s, error)
        elif error is None and self.trouble is not None:
            log.warning("keys are up to date again")
        self.trouble = error

    async def _look(self) -> None:
        began, had = self._ticks(), self._edition
        self._apply(await self._line.ask(lambda connection: _changes(connection, had)))
        self._fresh_at = began

    def _apply(self, changes: _Changes) -> None:
        if changes.edition == self._edition:
            return
        self._edition = changes.edition
        for team, there in changes.teams:
            if there:
                self._teams[team.name] = team
            else:
                self._teams.pop(team.name, None)
        for one in changes.keys:
            self._keys[one.key.id] = one
        for row in changes.budgets:
            self._set_budget(row)
        touched = {team.name for team, _ in changes.teams}
        fresh = {one.key.id for one in changes.keys}
        for id, one in self._keys.items():
            if id in fresh or one.key.team in touched:
                self._entries[id] = _entry(one, self._teams.get(one.key.team))
        self._held = {}
        self._rates = {}

    def _set_budget(self, row: BudgetRow) -> None:
        periods = self._budgets.setdefault(row.holder, {})
        budget = rows.kept(row)
        if budget is None:
            periods.pop(row.period, None)
        else:
            periods[row.period] = budget
        self.models = {
            holder.removeprefix("model:"): tuple(budgets.values())
            for holder, budgets in self._budgets.items()
            if holder.startswith("model:") and budgets
        }


def _changes(connection: Connection, had: int) -> _Changes:
    """What changed since edition `had`; a change made meanwhile may come twice, none is missed."""
    edition = rows.edition(connection)
    if edition == had:
        return _Changes(edition=edition)
    return _Changes(
        edition=edition,
        keys=rows.credentials(connection, had),
        teams=rows.teams(connection, had),
        budgets=rows.budgets(connection, had),
    )


def _entry(one: Credential, team: Team | None) -> _Entry:
    key: Key = one.key
    terms = key.terms if team is None else key.terms.within(team.terms)
    caller = Caller(
        key=key.id,
        name=key.name,
        team=key.team,
        scopes=key.scopes,
        models=terms.models,
        policies=terms.policies,
        prefer=terms.prefer,
        min_quality=terms.min_quality,
        data_class=terms.data_class,
    )
    return _Entry(
        caller=caller,
        digest=one.digest,
        old=one.old,
        old_until=key.old_until,
        # Without its team a key would have none of its terms.
        alive=key.revoked is None and (team is not None or not key.team),
        expires=float("inf") if key.expires is None else key.expires,
    )


def _rates(holder: str, terms: Terms) -> Rates | None:
    rates = Rates(
        holder=holder,
        requests_per_minute=terms.requests_per_minute,
        tokens_per_minute=terms.tokens_per_minute,
        usd_per_minute=terms.usd_per_minute,
    )
    return None if rates == Rates(holder=holder) else rates
