"""A detector's own process: reads texts, writes entities, until its input ends.

Run by :mod:`emafusion.protect.fence` as ``python -m emafusion.protect.fenced MODULE:NAME JSON``.
Every message is its length, four bytes, and that much JSON. What the detector prints goes nowhere.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import BinaryIO, cast

import msgspec

from emafusion.protect.entities import Entity

Detect = Callable[[str], Sequence[Entity]]
HEAD = 4
"""Bytes of a message's length."""


def framed(message: object) -> bytes:
    """`message` as it is sent."""
    body = msgspec.json.encode(message)
    return len(body).to_bytes(HEAD, "big") + body


def built(path: str, options: dict[str, object]) -> Detect:
    """What ``MODULE:NAME`` at `path` makes of `options`."""
    module, _, name = path.partition(":")
    build = getattr(importlib.import_module(module), name)
    return cast(Detect, build(**options))


def main(arguments: Sequence[str]) -> None:
    """Answer texts until there are no more."""
    asked, told = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    detect = built(arguments[0], msgspec.json.decode(arguments[1], type=dict[str, object]))
    detect("Anna Smith lives in Berlin.")  # the first text costs what is loaded for it
    _tell(told, "ready")
    while (text := _next(asked)) is not None:
        _tell(told, list(detect(text)))


def _next(asked: BinaryIO) -> str | None:
    head = asked.read(HEAD)
    if len(head) < HEAD:
        return None
    return msgspec.json.decode(asked.read(int.from_bytes(head, "big")), type=str)


def _tell(told: BinaryIO, message: object) -> None:
    told.write(framed(message))
    told.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
