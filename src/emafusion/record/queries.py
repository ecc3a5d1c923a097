"""What is asked of the record. Knows the tables; not where they are."""

from __future__ import annotations

from emafusion.databases import Connection
from emafusion.record.rows import decode
from emafusion.record.totals import ModelTotals, Totals
from emafusion.types import Feedback, Outcome


def find(connection: Connection, decision_id: str) -> Outcome | None:
    """The outcome of `decision_id`, or ``None``."""
    sql = "SELECT outcome FROM decisions WHERE id = $1"
    found = connection.rows(tuple[str], sql, decision_id)
    return decode(found[0][0]) if found else None


def recent(connection: Connection, n: int) -> tuple[Outcome, ...]:
    """The `n` outcomes created last, newest first."""
    sql = "SELECT outcome FROM decisions ORDER BY created DESC, rowid DESC LIMIT $1"
    return tuple(decode(json) for (json,) in connection.rows(tuple[str], sql, max(n, 0)))


def recorded(connection: Connection, after: int, limit: int) -> tuple[tuple[int, Outcome], ...]:
    """At most `limit` outcomes after the number `after`, each with its own."""
    sql = "SELECT rowid, outcome FROM decisions WHERE rowid > $1 ORDER BY rowid LIMIT $2"
    found = connection.rows(tuple[int, str], sql, after, limit)
    return tuple((number, decode(json)) for number, json in found)


def noted(connection: Connection, after: int, limit: int) -> tuple[tuple[int, Feedback], ...]:
    """At most `limit` opinions after the number `after`, each with its own."""
    found = connection.rows(
        tuple[int, str, str, float, float, str],
        "SELECT seq, decision_id, caller, score, created, comment FROM feedback"
        " WHERE seq > $1 ORDER BY seq LIMIT $2",
        after,
        limit,
    )
    return tuple(
        (seq, Feedback(decision_id=id, caller=who, score=score, created=when, comment=said))
        for seq, id, who, score, when, said in found
    )


def totals(connection: Connection, since: float) -> Totals:
    """Sums over what was created at `since` or later."""
    [(decisions, failed, cost_usd)] = connection.rows(
        tuple[int, int, float],
        "SELECT count(*), count(error), coalesce(sum(cost_usd), 0.0) FROM decisions"
        " WHERE created >= $1",
        since,
    )
    # Tokens are summed as floats: those that a lying upstream reports add up to no integer.
    models = connection.rows(
        tuple[str, int, int, float, float, float],
        "SELECT c.model, count(*), count(c.error), sum(c.cost_usd),"
        " sum(CAST(c.prompt_tokens AS DOUBLE PRECISION)),"
        " sum(CAST(c.completion_tokens AS DOUBLE PRECISION))"
        " FROM calls c JOIN decisions d ON d.id = c.decision_id"
        " WHERE d.created >= $1 GROUP BY c.model ORDER BY c.model",
        since,
    )
    return Totals(
        decisions=decisions,
        failed=failed,
        cost_usd=cost_usd,
        models={
            model: ModelTotals(
                calls=calls,
                failed=failures,
                cost_usd=cost,
                prompt_tokens=int(prompt_tokens),
                completion_tokens=int(completion_tokens),
            )
            for model, calls, failures, cost, prompt_tokens, completion_tokens in models
        },
    )
