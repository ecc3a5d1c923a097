"""What callers say of answers afterwards."""

from __future__ import annotations

from emafusion.types.values import Probability, Value


class Feedback(Value, frozen=True, kw_only=True):
    """One caller's opinion of one decision's answer; a later one of the same caller replaces it.

    ``score`` in [0, 1], 1 being a good answer; ``caller`` tells callers apart and is empty where
    there is but one; ``created`` is in seconds since 1970.
    """

    decision_id: str
    score: Probability
    created: float
    caller: str = ""
    comment: str = ""
