"""How workers share a budget: one transaction that reports, gives back and takes.

A budget's window has a purse; of it each worker is granted a lease, from which it serves requests
without asking. Granted money counts as spent until a worker gives it back, so whatever becomes of
a worker, all of them together never hold more than the limit. Knows SQL and the arithmetic of
granting; no request.

Every message may be sent again, and says the same the second time: what was spent of the lease
since it began, and how much of it the worker keeps. So a worker that was only slow, and whose lease
was booked as spent meanwhile, puts that right with its next message. Who was heard of when is told
by the database's clock alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct, structs

from emafusion.databases import Connection
from emafusion.gateway.accounts import rows
from emafusion.gateway.accounts.terms import NANO, Budget, Period, Spending, window

ALIVE_S = 10.0
"""A worker that was not heard of for longer is taken for dead."""
BURIED_S = 60.0
"""What a worker holds that was not heard of for longer is booked as spent."""
STARVED_S = 1.0
"""How long a worker's want of money is remembered for the others to see, seconds."""
SHARE = 8
"""At most one part in so many of what is left is granted ahead of need."""


class Claim(Struct, frozen=True, kw_only=True):
    """What one worker says of, and wants from, one purse; all sums in billionths of a US dollar.

    ``number`` tells its leases apart. ``spent`` is all it has spent of this one, ``needed`` what it
    must hold whatever the limit says, for it is spent or promised; ``keeps`` is what it keeps of it
    without more. ``first`` is the need of the request that waits longest, ``wanted`` that of all,
    ``ahead`` what it may need next.
    """

    holder: str
    period: Period
    since: str
    number: int = 0
    spent: int = 0
    needed: int = 0
    keeps: int = 0
    first: int = 0
    wanted: int = 0
    ahead: int = 0


class Standing(Struct, frozen=True, kw_only=True):
    """What became of a claim, and how the purse stands.

    ``granted`` is the worker's lease now. Of the ``limit``, ``total`` is granted to all workers and
    ``settled`` of that spent. Where the first need could not be met, ``possible`` could be had if
    every living worker gave back all that is not spent. ``starved``: a worker lacked money a moment
    ago. ``limit`` is ``None`` where the budget was taken away.
    """

    granted: int
    total: int
    settled: int
    possible: int | None
    starved: bool
    limit: int | None


class _Purse(Struct, frozen=True, array_like=True):
    granted: int
    settled: int
    starved: float


class _Left(Struct, frozen=True, array_like=True):
    worker: str
    number: int
    holder: str
    period: Period
    since: str


class _Lease(Struct, frozen=True, array_like=True):
    granted: int = 0
    spent: int = 0


def exchange(
    connection: Connection, worker: str, *, now: float, claims: Sequence[Claim]
) -> list[Standing]:
    """The answers to `claims`, in their order; `worker` is heard of `now`, the database's time."""
    hear(connection, worker, now=now)
    # In one order for everyone: two workers never wait for each other's purse.
    order = sorted(range(len(claims)), key=lambda n: _place(claims[n]))
    answers = {n: _answer(connection, worker, now=now, claim=claims[n]) for n in order}
    return [answers[n] for n in range(len(claims))]


def leave(connection: Connection, worker: str) -> None:
    """Forget a worker that has given back everything; of one that could not, nothing.

    A claim counts from what is on the books: without that, all of it would be booked again.
    """
    [(held,)] = connection.rows(
        tuple[int],
        "SELECT count(*) FROM emf_leases WHERE worker = $1 AND granted <> spent",
        worker,
    )
    if not held:
        connection.run("DELETE FROM emf_leases WHERE worker = $1", worker)
        connection.run("DELETE FROM emf_workers WHERE id = $1", worker)


def known(connection: Connection, worker: str) -> bool:
    """Whether `worker` was heard of and is not forgotten: what it claims is known as well."""
    return bool(connection.rows(tuple[str], "SELECT id FROM emf_workers WHERE id = $1", worker))


def bury(connection: Connection, *, before: float) -> int:
    """Book as spent all that workers hold which were last heard of `before`; how many leases.

    How much of it they had spent nobody knows: not less than nothing, and not more than this.
    """
    left = connection.rows(
        _Left,
        "SELECT l.worker, l.number, l.holder, l.period, l.since FROM emf_leases l"
        " JOIN emf_workers w ON w.id = l.worker WHERE w.seen < $1 AND l.granted > l.spent"
        " ORDER BY l.holder, l.period, l.since",
        before,
    )
    for one in left:
        claim = Claim(holder=one.holder, period=one.period, since=one.since, number=one.number)
        purse = _locked(connection, claim)
        lease = _lease(connection, one.worker, claim)
        rest = max(lease.granted - lease.spent, 0)
        _write_lease(connection, one.worker, claim, lease=_Lease(lease.granted, lease.granted))
        _write_purse(connection, claim, structs.replace(purse, settled=purse.settled + rest))
    return len(left)


def tidy(connection: Connection, *, before: float) -> None:
    """Forget workers last heard of `before` that hold nothing; of others, nothing."""
    connection.run(
        "DELETE FROM emf_leases WHERE worker IN (SELECT id FROM emf_workers WHERE seen < $1)"
        " AND worker NOT IN (SELECT worker FROM emf_leases WHERE granted <> spent)",
        before,
    )
    connection.run(
        "DELETE FROM emf_workers WHERE seen < $1 AND id NOT IN (SELECT worker FROM emf_leases)",
        before,
    )


def overspent(connection: Connection, budgets: Sequence[Budget], now: float) -> frozenset[str]:
    """The holders of those of `budgets` whose present window is spent."""
    return frozenset(
        one.holder
        for one in budgets
        if _seen(
            connection,
            Claim(holder=one.holder, period=one.period, since=window(one.period, now).since),
        ).settled
        >= one.limit
    )


def hear(connection: Connection, worker: str, *, now: float) -> None:
    """Take note that `worker` lives `now`, the database's time."""
    connection.run(
        "INSERT INTO emf_workers (id, seen) VALUES ($1, $2)"
        " ON CONFLICT (id) DO UPDATE SET seen = excluded.seen",
        worker,
        now,
    )


def _answer(connection: Connection, worker: str, *, now: float, claim: Claim) -> Standing:
    limit = _limit(connection, claim)
    purse = _locked(connection, claim)
    lease = _lease(connection, worker, claim)
    others = purse.granted - lease.granted
    # Without a limit nothing is scarce.
    room = NANO * NANO if limit is None else limit - others - claim.keeps
    starved = 0 <= now - purse.starved < STARVED_S
    if starved:
        claim = structs.replace(claim, ahead=0)
    granted = max(_granted(claim, room), claim.needed)
    hungry = limit is not None and claim.first > room
    changed = structs.replace(
        purse,
        granted=others + granted,
        settled=purse.settled + claim.spent - lease.spent,
        starved=now if hungry else purse.starved,
    )
    fresh = _Lease(granted, claim.spent)
    if fresh != lease:
        _write_lease(connection, worker, claim, lease=fresh)
    if changed != purse:
        _write_purse(connection, claim, changed)
    possible = None
    if limit is not None and hungry:
        possible = limit - changed.granted + _alive(connection, claim, since=now - ALIVE_S)
    return Standing(
        granted=granted,
        total=changed.granted,
        settled=changed.settled,
        possible=possible,
        starved=starved,
        limit=limit,
    )


def _granted(claim: Claim, room: int) -> int:
    """The lease after `claim`, where there is `room` beyond what the worker keeps."""
    if claim.first > room:
        return claim.keeps
    wanted = min(claim.wanted, max(room, 0))
    return claim.keeps + wanted + _ahead(claim, room - wanted)


def _ahead(claim: Claim, room: int) -> int:
    return max(min(claim.ahead, room // SHARE), 0)


def _limit(connection: Connection, claim: Claim) -> int | None:
    found = connection.rows(
        tuple[int | None],
        "SELECT most FROM emf_budgets WHERE holder = $1 AND period = $2",
        claim.holder,
        claim.period,
    )
    return found[0][0] if found else None


def _locked(connection: Connection, claim: Claim) -> _Purse:
    """The purse, made where it is missing; nobody else changes it until the transaction ends."""
    [purse] = connection.rows(
        _Purse,
        "INSERT INTO emf_purses (holder, period, since, granted, settled, starved)"
        " VALUES ($1, $2, $3, 0, 0, 0) ON CONFLICT (holder, period, since)"
        " DO UPDATE SET granted = emf_purses.granted RETURNING granted, settled, starved",
        claim.holder,
        claim.period,
        claim.since,
    )
    return purse


def _lease(connection: Connection, worker: str, claim: Claim) -> _Lease:
    found = connection.rows(
        _Lease,
        "SELECT granted, spent FROM emf_leases WHERE worker = $1 AND number = $2",
        worker,
        claim.number,
    )
    return found[0] if found else _Lease()


def _write_lease(connection: Connection, worker: str, claim: Claim, *, lease: _Lease) -> None:
    connection.run(
        "INSERT INTO emf_leases (worker, number, holder, period, since, granted, spent)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (worker, number)"
        " DO UPDATE SET granted = excluded.granted, spent = excluded.spent",
        worker,
        claim.number,
        *_place(claim),
        lease.granted,
        lease.spent,
    )


def _write_purse(connection: Connection, claim: Claim, purse: _Purse) -> None:
    connection.run(
        "UPDATE emf_purses SET granted = $4, settled = $5, starved = $6"
        " WHERE holder = $1 AND period = $2 AND since = $3",
        *_place(claim),
        purse.granted,
        purse.settled,
        purse.starved,
    )


def _alive(connection: Connection, claim: Claim, *, since: float) -> int:
    """What workers heard of after `since` hold of the purse without having spent it."""
    [(held,)] = connection.rows(
        tuple[int],
        "SELECT CAST(coalesce(sum(l.granted - l.spent), 0) AS BIGINT)"
        " FROM emf_leases l JOIN emf_workers w ON w.id = l.worker"
        " WHERE l.holder = $1 AND l.period = $2 AND l.since = $3 AND w.seen > $4",
        *_place(claim),
        since,
    )
    return held


def _place(claim: Claim) -> tuple[str, Period, str]:
    return claim.holder, claim.period, claim.since


def spending(connection: Connection, now: float) -> list[Spending]:
    """Every budget and its present window, at `now`."""
    found = []
    heard = connection.clock()
    for row in rows.budgets(connection):
        if row.most is None:
            continue
        present = window(row.period, now)
        claim = Claim(holder=row.holder, period=row.period, since=present.since)
        purse = _seen(connection, claim)
        alive = _alive(connection, claim, since=heard - ALIVE_S)
        held = purse.granted - purse.settled
        found.append(
            Spending(
                holder=row.holder,
                period=row.period,
                limit_usd=row.most / NANO,
                spent_usd=purse.settled / NANO,
                held_usd=held / NANO,
                lost_usd=(held - alive) / NANO,
                left_usd=max(row.most - purse.granted, 0) / NANO,
                renews=present.ends,
            )
        )
    return found


def _seen(connection: Connection, claim: Claim) -> _Purse:
    purses = connection.rows(
        _Purse,
        "SELECT granted, settled, starved FROM emf_purses"
        " WHERE holder = $1 AND period = $2 AND since = $3",
        *_place(claim),
    )
    return purses[0] if purses else _Purse(0, 0, 0.0)
