"""What is done about what was found.

It finds nothing, and knows no text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from msgspec import Meta, field

from emafusion.types import CLASSES, DataClass, Probability
from emafusion.types.values import Value

Deed = Literal["allow", "mask", "private"]
"""Leave a value as it is; put a placeholder in its place; do so and keep to private models, too."""
Answering = Literal["note", "private", "refuse"]
"""What is done about a document that gives orders."""


class Rules(Value, frozen=True, kw_only=True):
    """The policy of the stage.

    ``kinds`` says what is done with values of a kind, ``others`` with those of a kind not named.
    ``usual`` is the class of a request that nobody classed; of the class ``private_from`` and above
    only private models see a request, masked or not. Documents whose score is ``injection_at`` or
    more are answered as ``injection`` says. ``unread`` is for what no detector reads: pictures,
    sound, files. ``limit_s`` bounds each detector but our own, seconds for 10,000 characters; one
    behind a fence once it has come to it.
    """

    kinds: Mapping[str, Deed] = field(default_factory=dict)
    others: Deed = "mask"
    usual: DataClass = "internal"
    private_from: DataClass = "restricted"
    injection: Answering = "note"
    injection_at: Probability = 0.6
    unread: Literal["allow", "private"] = "private"
    limit_s: Annotated[float, Meta(gt=0.0)] = 2.0

    def deed(self, kind: str) -> Deed:
        """What is done with values of `kind`."""
        return self.kinds.get(kind, self.others)

    def private(self, data_class: DataClass) -> bool:
        """Whether only private models may see text of `data_class`."""
        return CLASSES.index(data_class) >= CLASSES.index(self.private_from)
