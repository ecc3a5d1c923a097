"""The judge of consensus: do independent drafts give the same answer?"""

from __future__ import annotations

from collections.abc import Sequence

from emafusion import answers
from emafusion.types import Draft, Request


class AgreementJudge:
    """Scores a draft by the share of the other drafts that give the same answer.

    Answers are extracted and normalised first, so 1/2 agrees with 0.5. A draft without a readable
    answer agrees with none, and is silent on others only when it stands alone.
    """

    name = "agreement"

    def score(self, request: Request, drafts: Sequence[Draft]) -> list[float | None]:
        """The share of other drafts that agree with each draft; ``None`` for a lone draft."""
        if len(drafts) < 2:
            return [None] * len(drafts)
        found = keys(request, drafts)
        others = len(drafts) - 1
        return [None if key is None else (found.count(key) - 1) / others for key in found]


def keys(request: Request, drafts: Sequence[Draft]) -> list[str | None]:
    """Each draft's canonical answer, or ``None`` where none can be read."""
    kind = answers.guess_kind(request.text)
    return [answers.canonical(draft.text, kind) for draft in drafts]
