"""The fast splitter: finds by structure that one prompt asks several things.

Knows the ways of writing a list of asks and the order in which to try them; calls no model.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from emafusion.protocols import Port
from emafusion.types import Labels, Request, Split
from emafusion.understand.splitting.evidence import weigh
from emafusion.understand.splitting.labels import bulleted, headed, labelled, named
from emafusion.understand.splitting.layout import Layout, masked
from emafusion.understand.splitting.passages import (
    connected,
    listed,
    paragraphed,
    ruled,
    tabled,
    tagged,
)
from emafusion.understand.splitting.plain import rows
from emafusion.understand.splitting.terms import bound, carry, lift

LONGEST: Final = 30_000
"""Characters beyond which a prompt is a document, and is not split."""


class FastSplitter:
    """Splits by structure alone: labels, bullets, rules, tags, JSON, connectives."""

    async def split(self, request: Request, labels: Labels, port: Port) -> Split | None:
        """The parts of the last user message; the labels and the port are not needed."""
        return parts_of(request.text)


def parts_of(text: str) -> Split | None:
    """The 2 to 8 asks that `text` makes, each as a prompt of its own; ``None`` if it makes one.

    Never raises, and takes time linear in the text.
    """
    # A text that is mostly white space says nothing, and would be slow to search.
    if len(text) > LONGEST or 2 * sum(map(len, text.split())) < len(text):
        return None
    text = text.replace("\r\n", "\n")
    for layout in _layouts(text):
        lifted = lift(layout)
        split = weigh(lifted.layout)
        if split is not None:
            whole = bound(text, split.parts, said=lifted.said)
            return None if whole else carry(split, lifted.carried)
    return None


def _layouts(text: str) -> Iterator[Layout]:
    mask = masked(text)
    yield from listed(text)
    yield from tagged(text)
    yield from tabled(text)
    yield from labelled(text, mask)
    yield from named(text, mask)
    yield from headed(text, mask)
    yield from ruled(text, mask)
    yield from bulleted(text, mask)
    yield from connected(text, mask)
    yield from paragraphed(text, mask)
    yield from rows(text, mask)
