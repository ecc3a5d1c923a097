"""Nouns → rows: what of an outcome, or of feedback, goes into which column.

Knows the tables' columns; not where the database is or when it commits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from emafusion.databases import Cell, Connection
from emafusion.errors import EmafusionError, StoreError, UnknownDecisionError
from emafusion.types import Decompose, Feedback, Json, Outcome, Plan, Verdict, replace

_INSERT_DECISION = (
    "INSERT INTO decisions (id, created, prompt_sha256, model, arrangement, confidence, cost_usd,"
    " latency_s, finish_reason, tier, error, outcome)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT (id) DO NOTHING"
)
_INSERT_CALL = (
    "INSERT INTO calls (decision_id, seq, model, purpose, cost_usd, latency_s, prompt_tokens,"
    " completion_tokens, cached_tokens, reasoning_tokens, finish_reason, error)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
)
_INSERT_VERDICT = (
    "INSERT INTO verdicts (decision_id, seq, judge, draft, score, reason)"
    " VALUES ($1, $2, $3, $4, $5, $6)"
)
_LARGEST_INTEGER = 2**63 - 1
"""The databases'; a lying upstream may report more tokens than that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeRow:
    """One outcome's values."""

    id: str
    json: str
    decision: tuple[Cell, ...]
    calls: tuple[tuple[Cell, ...], ...]
    verdicts: tuple[tuple[Cell, ...], ...]

    def clash(self, connection: Connection) -> StoreError | None:
        """An error where the id, which is taken, holds another outcome.

        The same outcome a second time is no error: a caller that was not told may try again.
        """
        known = connection.rows(tuple[str], "SELECT outcome FROM decisions WHERE id = $1", self.id)
        if known == [(self.json,)]:
            return None
        return StoreError(
            f"decision {self.id!r} is already recorded with another outcome; "
            "give every request an id of its own"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackRow:
    """One opinion's values; it takes the place of what the caller said of the decision before."""

    feedback: Feedback
    content: bool

    def insert(self, connection: Connection) -> EmafusionError | None:
        """Insert them; an error where there is no such decision.

        The same opinion a second time stays where it is: it was written, and not acknowledged.
        """
        one = self.feedback
        # As `encode` has it, so that the names are those of the recorded outcome.
        name, caller = _mended(one.decision_id), _mended(one.caller)
        if not connection.rows(tuple[int], "SELECT 1 FROM decisions WHERE id = $1", name):
            return UnknownDecisionError(f"there is no decision {name!r}")
        said = (one.score, one.created, _mended(one.comment) if self.content else "")
        of = "FROM feedback WHERE decision_id = $1 AND caller = $2"
        before = connection.rows(
            tuple[float, float, str], f"SELECT score, created, comment {of}", name, caller
        )
        if before != [said]:
            connection.run(f"DELETE {of}", name, caller)
            connection.run(
                "INSERT INTO feedback (decision_id, caller, score, created, comment)"
                " VALUES ($1, $2, $3, $4, $5)",
                name,
                caller,
                *said,
            )
        return None


Row = OutcomeRow | FeedbackRow


def write(connection: Connection, rows: Sequence[Row]) -> list[EmafusionError | None]:
    """Insert `rows` in the open transaction, in a few statements; what speaks against each."""
    outcomes = [row for row in rows if isinstance(row, OutcomeRow)]
    inserted = connection.run_each(_INSERT_DECISION, [row.decision for row in outcomes])
    new = [row for row, count in zip(outcomes, inserted, strict=True) if count]
    connection.run_all(_INSERT_CALL, [call for row in new for call in row.calls])
    connection.run_all(_INSERT_VERDICT, [one for row in new for one in row.verdicts])
    counts = iter(inserted)
    return [
        row.insert(connection)
        if isinstance(row, FeedbackRow)
        else (None if next(counts) else row.clash(connection))
        for row in rows
    ]


def pack(outcome: Outcome, *, content: bool) -> OutcomeRow:
    """The values of `outcome`; without `content` neither its texts nor its prompt, but its hash.

    Raises :class:`StoreError` where it could not be read back, which is a defect of its maker:
    NaN, a probability outside [0, 1] or a wrong type.
    """
    prompt_sha256 = hashlib.sha256(outcome.prompt.encode("utf-8", "replace")).hexdigest()
    json, outcome = encode(outcome if content else without_content(outcome))
    plan = outcome.plan
    return OutcomeRow(
        id=outcome.decision_id,
        json=json,
        decision=(
            outcome.decision_id,
            outcome.created,
            prompt_sha256,
            outcome.model,
            None if plan is None else plan.arrangement.__struct_config__.tag,
            outcome.confidence,
            outcome.cost_usd,
            outcome.latency_s,
            outcome.finish_reason,
            outcome.tier,
            outcome.error,
            json,
        ),
        calls=_call_values(outcome),
        verdicts=tuple(
            (outcome.decision_id, seq, v.judge, v.draft, v.score, v.reason)
            for seq, v in enumerate(outcome.verdicts)
        ),
    )


def _call_values(outcome: Outcome) -> tuple[tuple[Cell, ...], ...]:
    return tuple(
        (
            outcome.decision_id,
            seq,
            step.model,
            step.purpose,
            step.cost_usd,
            step.latency_s,
            min(step.usage.prompt_tokens, _LARGEST_INTEGER),
            min(step.usage.completion_tokens, _LARGEST_INTEGER),
            min(step.usage.cached_tokens, _LARGEST_INTEGER),
            min(step.usage.reasoning_tokens, _LARGEST_INTEGER),
            step.finish_reason,
            step.error,
        )
        for seq, step in enumerate(outcome.steps)
    )


def without_content(outcome: Outcome) -> Outcome:
    """`outcome` without what a caller or a model wrote; a judge's reason may quote either."""
    return replace(
        outcome,
        prompt="",
        text="",
        plan=None if outcome.plan is None else _without_asks(outcome.plan),
        steps=tuple(replace(step, text="") for step in outcome.steps),
        verdicts=_without_reasons(outcome.verdicts),
        parts=tuple(
            replace(piece, prompt="", text="", label="", verdicts=_without_reasons(piece.verdicts))
            for piece in outcome.parts
        ),
    )


def _without_asks(plan: Plan) -> Plan:
    """`plan` without the words of a composite prompt's parts."""
    arrangement = plan.arrangement
    if not isinstance(arrangement, Decompose):
        return plan
    branches = tuple(
        replace(branch, part=replace(branch.part, text="", label=""))
        for branch in arrangement.branches
    )
    return replace(plan, arrangement=replace(arrangement, branches=branches))


def _without_reasons(verdicts: tuple[Verdict, ...]) -> tuple[Verdict, ...]:
    return tuple(replace(verdict, reason="") for verdict in verdicts)


def encode(outcome: Outcome) -> tuple[str, Outcome]:
    """`outcome` as JSON, and as that JSON reads back.

    Half a surrogate pair, which UTF-8 cannot hold, becomes U+FFFD.
    """
    try:
        try:
            json = msgspec.json.encode(outcome)
        except UnicodeEncodeError:
            json = msgspec.json.encode(_whole(msgspec.to_builtins(outcome)))
        return json.decode(), msgspec.json.decode(json, type=Outcome)
    except (msgspec.ValidationError, TypeError) as error:
        raise StoreError(f"outcome {outcome.decision_id!r} cannot be recorded: {error}") from error


def decode(json: str) -> Outcome:
    """The outcome of `json`; raises :class:`StoreError` where it is none."""
    try:
        return msgspec.json.decode(json, type=Outcome)
    except msgspec.DecodeError as error:
        raise StoreError(f"a recorded outcome cannot be read: {error}") from error


def _whole(value: Json) -> Json:
    if isinstance(value, str):
        return _mended(value)
    if isinstance(value, dict):
        return {str(_whole(key)): _whole(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_whole(item) for item in value]
    return value


def _mended(text: str) -> str:
    """`text` with U+FFFD for each half of a surrogate pair."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
