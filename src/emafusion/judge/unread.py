"""A panel for answers that nobody chose: it looks at none of them.

Knows what was expected of each model. Where a caller names the model, there is nothing to stop at,
nothing to compare and nothing to choose, so reading the draft would buy nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from emafusion.protocols import Port
from emafusion.types import Assessment, Draft, Forecast, Request


class Unread:
    """P(right) of every draft is what was expected of its model, and no judge has spoken."""

    async def assess(
        self,
        request: Request,
        forecast: Forecast,
        drafts: Sequence[Draft],
        *,
        port: Port,
        judge: str | None = None,
    ) -> Assessment:
        """The forecast's quality for each of `drafts`."""
        expected = tuple(forecast[draft.model].quality for draft in drafts)
        return Assessment(confidences=expected, verdicts=())
