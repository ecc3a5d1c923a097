"""Documents with orders to a model in them, and documents without: all made up.

The wordings are in ``injections/``; those named ``build`` are what the patterns were made with,
those named ``held`` what figures are of. Nothing here knows how orders are found.
"""

from __future__ import annotations

import base64
import codecs
import random
import tomllib
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Split = Literal["build", "held"]
FOLDER = Path(__file__).parent / "injections"
HOMOGLYPHS = str.maketrans("aceiopxy", "асеіорху")
LINES = ("fake_turns", "delimiters", "hidden_markdown")
"""Families whose orders begin a line."""
LEET = str.maketrans("aeiost", "431057")


@dataclass(frozen=True, slots=True)
class Document:
    """A text, its family, and whether it holds orders."""

    text: str
    family: str
    attack: bool


def _tags(text: str) -> str:
    return "".join(chr(0xE0000 + ord(c)) for c in text if c.isascii())


def _wide(c: str) -> str:
    return chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c


CODES: Mapping[str, Callable[[str], str]] = {
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "tags": _tags,
    "homoglyphs": lambda text: text.translate(HOMOGLYPHS),
    "zero_width": "\u200b".join,
    "hex": lambda text: text.encode().hex(),
    "entities": lambda text: "".join(f"&#{ord(c)};" for c in text),
    "full_width": lambda text: "".join(
        chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text
    ),
    "spaced": " ".join,
    "percent": lambda text: urllib.parse.quote(text, safe=""),
    "rot13": lambda text: codecs.encode(text, "rot13"),
    "leet": lambda text: text.lower().translate(LEET),
    "reversed": lambda text: text[::-1],
}
"""Ways to write a text so that people, or patterns, do not read it."""


class Maker:
    """Makes the documents of one `split`, the same ones from the same `seed`."""

    def __init__(self, split: Split, seed: int = 7) -> None:
        self._split = split
        self._random = random.Random(f"{split} {seed}")
        self._attacks = tomllib.loads((FOLDER / "attacks.toml").read_text("utf-8"))
        self._slots: Mapping[str, Sequence[str]] = self._attacks.pop("slots")
        self._documents = tomllib.loads((FOLDER / "documents.toml").read_text("utf-8"))
        self._filler: Sequence[str] = self._documents.pop("filler")["both"]

    def attacks(self, times: int) -> Iterator[Document]:
        """Every wording `times` times, each within a document of its own about something else."""
        for family, wordings in self._attacks.items():
            for wording in wordings[self._split]:
                for _ in range(times):
                    order = self._order(family, wording)
                    yield Document(self._within(order, turn=family), family, attack=True)

    def documents(self, each: int) -> Iterator[Document]:
        """`each` documents of every family, of two to five of its wordings."""
        for family, wordings in self._documents.items():
            some = wordings[self._split]
            for _ in range(each):
                n = min(self._random.randint(2, 5), len(some))
                lines = [*self._random.sample(some, n), *self._random.sample(self._filler, 2)]
                self._random.shuffle(lines)
                text = self._random.choice(("\n\n", "\n", " ")).join(lines)
                yield Document(text.replace("¶", "\n"), family, attack=False)

    def _order(self, family: str, wording: str) -> str:
        if family == "encoded":
            plain = self._random.choice(self._attacks["override"][self._split])
            said = self._filled(plain)
            return wording.format(**{name: code(said) for name, code in CODES.items()})
        return self._filled(wording).replace("¶", "\n")

    def _filled(self, wording: str) -> str:
        told = {name: self._random.choice(some) for name, some in self._slots.items()}
        leaves = {name: told[name] for name in ("url", "mail", "tool", "arg")}
        whole = {name: said.format(**leaves) for name, said in told.items()}
        goal = whole["goal"]
        return wording.format(**whole, Goal=goal[0].upper() + goal[1:])

    def _within(self, order: str, *, turn: str) -> str:
        """`order` among other sentences: on a line of its own, or in the midst of them."""
        lines = self._random.sample(self._filler, self._random.randint(1, 6))
        place = self._random.randint(0, len(lines))
        apart = (
            turn in ("fake_turns", "delimiters", "hidden_markdown") or self._random.random() < 0.5
        )
        between = "\n\n" if apart else " "
        return between.join([*lines[:place], order, *lines[place:]])
