"""Server-sent events, read from bytes cut anywhere.

It follows the event-stream format of the HTML standard for what chat streams use: comments and
other fields are skipped, the ``data`` lines of one event are joined by newlines, and an event that
the connection's end cuts off is no event. It does not know what the data says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

LARGEST = 16 << 20
"""Bytes of one event beyond which the stream is refused."""

_LINE_END = re.compile(rb"\r\n|\n|\r")
_BOM = b"\xef\xbb\xbf"


class EventTooLarge(ValueError):  # noqa: N818 - it names what came, and never leaves this package
    """One event exceeds :data:`LARGEST`."""


class Events:
    """The data of the events in a stream, as its bytes are fed in."""

    def __init__(self) -> None:
        self._begun: list[bytes] = []
        self._data: list[bytes] = []
        self._size = 0  # bytes since the last event ended
        self._half_end = False
        self._first = True

    def feed(self, block: bytes) -> Iterator[bytes]:
        """The data of every event that `block` completes; raises :class:`EventTooLarge`."""
        self._size += len(block)
        for line in self._lines(block):
            if not line:
                yield from self._dispatch()
            elif line.startswith(b"data:"):
                self._data.append(line[5:].removeprefix(b" "))
            elif line == b"data":
                self._data.append(b"")
        if self._size > LARGEST:
            raise EventTooLarge

    def _lines(self, block: bytes) -> list[bytes]:
        """The lines that `block` completes."""
        if self._half_end and block:
            # The carriage return before it ended a line already: a newline is its second half.
            block = block.removeprefix(b"\n")
            self._half_end = False
        if not block:
            return []
        self._half_end = block.endswith(b"\r")
        # Most streams have newlines alone, and are then read nearly three times as fast.
        parts: list[bytes] = _LINE_END.split(block) if b"\r" in block else block.split(b"\n")
        start, *rest = parts
        self._begun.append(start)
        if not rest:
            return []
        *lines, begun = b"".join(self._begun), *rest
        self._begun = [begun]
        if self._first:
            self._first = False
            lines[0] = lines[0].removeprefix(_BOM)
        return lines

    def _dispatch(self) -> Iterator[bytes]:
        self._size = 0
        if self._data:
            yield b"\n".join(self._data)
            self._data = []
