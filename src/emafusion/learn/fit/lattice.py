"""Fits the look-ahead by backward induction over the sets of members that may have spoken.

From the largest set down: what a state is worth is what following the fitted rule from there did
bring, on recorded drafts and recorded costs; what asking one more adds is regressed on the state.
The estimates a query's decision is made by are fitted without its fold, so the values carry no
winner's curse (fitted value iteration with cross-fitted decisions; Ernst et al., 2005). What
enters them of other folds was read by routers and judges that had seen the query's own outcome:
an effect of second order, one set of folds serving every stage.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from emafusion.learn.fit.answering import States
from emafusion.learn.fit.evidence import NOBODY, Evidence, best_of
from emafusion.plan.lookahead import STOP, Lookahead, Standing, columns

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Integers = NDArray[np.int64]

SETTINGS = 61
CHEAPEST, DEAREST = 3.0, 0.002
"""Quality that the best single model's cost must buy, at the two ends of the dial."""
MOST_PENALTY = 100.0
SURE = 0.5
"""Standard errors by which the rule must have been worth more than the best single member.

More keeps small gains back that few rows cannot show: of 300 rows' fits, six samples each, one
error kept .54 of the gain that all rows bring on one set, a half .64, none .65; on another, alike.
"""
ROWS_A_PENALTY = 20
"""One observation of shrinkage for so many rows: few rows need less of it to bear any rule."""


class Walk(Struct, frozen=True, kw_only=True):
    """What following the rule did, query by query.

    ``calls`` (n, k) holds the members asked in order, padded with −1; ``source`` the member whose
    draft was returned; ``confidence``, ``score`` and ``cost`` are (n,).
    """

    calls: Integers
    source: Integers
    confidence: Array
    score: Array
    cost: Array


class Rules(Struct, frozen=True, kw_only=True):
    """The fitted rule, and the held-out decisions (n,) of each setting and set."""

    lookahead: Lookahead
    decisions: dict[tuple[int, int], Integers]


def fit(
    evidence: Evidence, states: States, members: Sequence[int], *, depth: int | None = None
) -> Rules:
    """The rule for `members` on the queries of `evidence`, every one of them complete.

    `depth` bounds how many are asked.
    """
    import numpy as np

    size = len(members)
    costs, expected = evidence.costs[:, members], evidence.expected[:, members]
    seen = evidence.fold != NOBODY
    unit = float(evidence.costs[seen].mean(axis=0)[best_of(evidence.scores[seen])])
    prices = (unit or 1e-9) / np.geomspace(CHEAPEST, DEAREST, SETTINGS)
    priors = evidence.priors[:, members]
    sets = sorted(range(1 << size), key=lambda number: -number.bit_count())
    width = columns(_standing(0, states, priors=priors, expected=expected)).shape[1]
    mean, scale = np.zeros((1 << size, width)), np.ones((1 << size, width))
    weights = np.zeros((1 << size, SETTINGS, width + 1, size))
    values: dict[int, Array] = {}
    reached: dict[int, Array] = {}
    spent: dict[int, Array] = {}
    decisions: dict[tuple[int, int], Integers] = {}
    outlook = np.zeros((SETTINGS, width + 1, 2))
    for number in sets:
        standing = _standing(number, states, priors=priors, expected=expected)
        rest = _rest(number, size, depth)
        stop = np.tile(standing.best[:, None], (1, SETTINGS))
        if not rest:
            values[number], reached[number], spent[number] = stop, stop, np.zeros_like(stop)
            continue
        table, mean[number], scale[number] = _standard(columns(standing), seen)
        # Every setting and every next member at once: one solve, many right-hand sides.
        gains = np.stack([values[number | 1 << place] - stop for place in rest], axis=2)
        told, found = _regress(table, gains.reshape(len(table), -1), evidence.fold)
        told = told.reshape(len(table), SETTINGS, len(rest))
        weights[number][:, :, rest] = found.reshape(width + 1, SETTINGS, len(rest)).swapaxes(0, 1)
        net = told - standing.costs[:, rest][:, None, :] / prices[None, :, None]
        choice = _choice(net, rest, first=number == 0)
        values[number], reached[number], spent[number] = _followed(
            choice, stop, costs=costs, prices=prices, after=(number, values, reached, spent)
        )
        for notch in range(SETTINGS):
            decisions[number, notch] = choice[:, notch]
        if number == 0:
            ends = np.stack([reached[0], spent[0]], axis=2).reshape(len(table), -1)
            _, found = _regress(table, ends, evidence.fold)
            outlook = found.reshape(width + 1, SETTINGS, 2).swapaxes(0, 1)
    names = [evidence.pool[member] for member in members]
    rule = Lookahead(names, prices, mean=mean, scale=scale, weights=weights, outlook=outlook)
    return _guarded(Rules(lookahead=rule, decisions=decisions), evidence, states, members=members)


def _guarded(rules: Rules, evidence: Evidence, states: States, *, members: Sequence[int]) -> Rules:
    """`rules`, kept to the best single member wherever they were not shown to be worth more.

    At each setting the held-out walk must be worth more than that member, query by query and net
    of what was paid, by :data:`SURE` standard errors of the difference (DESIGN §2.2, guard).
    """
    import numpy as np

    rule, decisions = rules.lookahead, dict(rules.decisions)
    safe = np.full(len(rule.prices), NOBODY, dtype=np.int64)
    for setting, price in enumerate(rule.prices.tolist()):
        done = walk(rules, evidence, states, members=members, setting=setting)
        worth = evidence.scores[:, members] - evidence.costs[:, members] / price
        best = int(worth.mean(axis=0).argmax())
        over = done.score - done.cost / price - worth[:, best]
        if float(over.mean()) < SURE * float(over.std()) / np.sqrt(len(over)):
            safe[setting] = best
            decisions[0, setting] = np.full(len(over), best)
            decisions[1 << best, setting] = np.full(len(over), STOP)
    seen = evidence.fold != NOBODY
    scores, costs = evidence.scores[seen][:, members], evidence.costs[seen][:, members]
    means = np.stack([scores.mean(axis=0), costs.mean(axis=0)], axis=1)
    return Rules(lookahead=rule.guarded(safe, means), decisions=decisions)


def _choice(net: Array, rest: Sequence[int], *, first: bool) -> Integers:
    """The member (n, settings) of greatest net gain, or :data:`STOP`; the first is always asked."""
    import numpy as np

    best = net.argmax(axis=2)
    going = np.take_along_axis(net, best[:, :, None], 2)[:, :, 0] > 0.0
    if first:
        going[:] = True
    found: Integers = np.where(going, np.array(rest)[best], STOP)
    return found


def _followed(
    choice: Integers,
    stop: Array,
    *,
    costs: Array,
    prices: Array,
    after: tuple[int, dict[int, Array], dict[int, Array], dict[int, Array]],
) -> tuple[Array, Array, Array]:
    """What following `choice` did bring: value, confidence reached, US dollars spent."""
    import numpy as np

    number, values, reached, spent = after
    value, end, paid = stop.copy(), stop.copy(), np.zeros_like(stop)
    for place in np.unique(choice[choice != STOP]).tolist():
        row, setting = np.nonzero(choice == place)
        then, price = number | 1 << place, costs[row, place]
        value[row, setting] = values[then][row, setting] - price / prices[setting]
        end[row, setting] = reached[then][row, setting]
        paid[row, setting] = spent[then][row, setting] + price
    return value, end, paid


def decide(
    rule: Lookahead,
    evidence: Evidence,
    states: States,
    *,
    members: Sequence[int],
    depth: int | None = None,
) -> Rules:
    """The fitted rule's decisions on other queries."""
    priors, expected = evidence.priors[:, members], evidence.expected[:, members]
    decisions = {}
    for number in range(1 << len(members)):
        rest = _rest(number, len(members), depth)
        standing = _standing(number, states, priors=priors, expected=expected)
        for setting in range(len(rule.prices)):
            decisions[number, setting] = rule.decide(number, setting, standing, allowed=rest)
    return Rules(lookahead=rule, decisions=decisions)


def walk(
    rules: Rules, evidence: Evidence, states: States, *, members: Sequence[int], setting: int
) -> Walk:
    """Follow the decisions of `setting` from the start, on recorded drafts at recorded costs."""
    import numpy as np

    count, size = len(evidence.scores), len(members)
    number = np.zeros(count, dtype=np.int64)
    calls = np.full((count, size), -1, dtype=np.int64)
    live = np.ones(count, dtype=bool)
    for step in range(size):
        for current in np.unique(number[live]):
            rows = np.flatnonzero(live & (number == current))
            if (int(current), setting) not in rules.decisions:
                live[rows] = False
                continue
            choice = rules.decisions[int(current), setting][rows]
            live[rows[choice == STOP]] = False
            going = rows[choice != STOP]
            calls[going, step] = choice[choice != STOP]
        asked = calls[:, step] >= 0
        number[asked] |= 1 << calls[asked, step]
    return _told(number, calls, evidence=evidence, states=states, members=members)


def _told(
    number: Integers,
    calls: Integers,
    *,
    evidence: Evidence,
    states: States,
    members: Sequence[int],
) -> Walk:
    """What the walks that ended in the sets `number` brought."""
    import numpy as np

    count, size = calls.shape
    rows = np.arange(count)
    confidence, top = np.zeros(count), np.zeros((count, size), dtype=bool)
    for current in np.unique(number):
        mine = number == current
        confidence[mine] = states.best[int(current)][mine]
        top[mine] = states.tops[int(current)][mine]
    # Of the drafts that give the best answer, the one that was asked first is returned.
    given = (calls >= 0) & top[rows[:, None], np.maximum(calls, 0)]
    source = calls[rows, given.argmax(axis=1)]
    asked = calls >= 0
    paid = np.where(asked, evidence.costs[:, members][rows[:, None], np.maximum(calls, 0)], 0.0)
    return Walk(
        calls=calls,
        source=source,
        confidence=confidence,
        score=evidence.scores[:, members][rows, source],
        cost=paid.sum(axis=1),
    )


def _rest(number: int, size: int, depth: int | None) -> list[int]:
    """The members that may still be asked once the set `number` has spoken."""
    if depth is not None and number.bit_count() >= depth:
        return []
    return [place for place in range(size) if not number >> place & 1]


def _standing(number: int, states: States, *, priors: Array, expected: Array) -> Standing:
    return Standing(
        best=states.best[number], second=states.second[number], priors=priors, costs=expected
    )


def _standard(table: Array, seen: NDArray[np.bool_]) -> tuple[Array, Array, Array]:
    import numpy as np

    mean, spread = table[seen].mean(axis=0), table[seen].std(axis=0)
    scale = np.where(spread > 1e-6, spread, 1.0)
    return (table - mean) / scale, mean, scale


def _regress(table: Array, targets: Array, fold: Integers) -> tuple[Array, Array]:
    """Ridge estimates of `targets` (n, t), each row by a fit that left it out, and the weights."""
    import numpy as np

    whole = np.column_stack([np.ones(len(table)), table])
    rows = int((fold != NOBODY).sum())
    ridge = np.eye(whole.shape[1]) * min(MOST_PENALTY, rows / ROWS_A_PENALTY)
    ridge[0, 0] = 1e-6
    numbers = [number for number in np.unique(fold) if number != NOBODY]
    grams = {n: whole[fold == n].T @ whole[fold == n] for n in numbers}
    moments = {n: whole[fold == n].T @ targets[fold == n] for n in numbers}
    gram, moment = sum(grams.values()) + ridge, sum(moments.values())
    weights: Array = np.linalg.solve(gram, moment)
    told: Array = whole @ weights
    for number in numbers:
        out = fold == number
        part = np.linalg.solve(gram - grams[number], moment - moments[number])
        told[out] = whole[out] @ part
    return told, weights
