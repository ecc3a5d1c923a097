"""What may be kept of a request that nothing may be kept of: everything but what was said."""

from __future__ import annotations

from emafusion.record.rows import without_content
from emafusion.types import Outcome, replace


def recordable(outcome: Outcome) -> Outcome:
    """`outcome` as it may be kept: without any text where its protection says so."""
    if outcome.protection is None or not outcome.protection.untold:
        return outcome
    told = without_content(outcome)
    # What upstreams say of a failure may quote what they were asked.
    return replace(
        told,
        error=_kind(told.error),
        steps=tuple(replace(step, error=_kind(step.error)) for step in told.steps),
        parts=tuple(replace(piece, error=_kind(piece.error)) for piece in told.parts),
    )


def _kind(error: str | None) -> str | None:
    """What kind of `error` it was."""
    return None if error is None else error.partition(":")[0][:40]
