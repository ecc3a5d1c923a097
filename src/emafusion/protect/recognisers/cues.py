"""Words that say what stands behind them, and how far a value may stand from its word.

Knows how a word is found in sentences, keys (``user_phone``, ``userPhone``), tables and tags. It
knows no kind of value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import takewhile

from emafusion.protect.recognisers.reading import HEAD, Reading

BETWEEN = (
    "number|numbers|no|n|nr|num|nº|n°|numer|numero|numerem|numéro|número|nummer|nummern|nummeret|№|id"
    "|code|card|account|holder|is|was|are|ist|lautet|est|es|è|é|są|to|er|är|on|at|as|now|under|via"
    "|a|al|au|aux|op|på|pod|na|em|en|il|la|le|el|o|os|der|die|das|den|the|my|our|your|his|her|their"
    "|mein|meine|mon|ma|son|sa|mi|mio|mia|su|meu|minha|mijn|mit|mitt|min|mój|moja|moje|me|us|him"
    "|them|mich|uns|moi|nous|ons|mij|back|please|bitte|work|home|mobile|cell|office|private|main"
    "|business|primary|new|old|current|direct|string|value|val|text|td|th|tr|dd|dt|span|strong|em|b"
    "|porte|uk|us|usa|swiss|german|french|canadian|british|dutch|spanish|italian|polish|irish|australian"
    "|de|del|di|do|da|du|per|for|sob|pelo|pela|unter|auf|zurück|today|tonight|tomorrow|amanhã"
    "|f[üu]r|vpn|wifi"
)
GAP = rf"(?:[\s:;=>\"'`*_#()°º|.,/\\\[\]{{}}<~$-]|(?<![^\W\d_])(?:{BETWEEN})(?![^\W_])){{0,28}}+"
"""What may stand between a word and its value: marks, and words that say nothing else."""
_UNSPACED = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
"""Letters of languages that write no blanks between words."""


class Cues:
    """Words for a kind of value, each found where it begins a word.

    Parameters
    ----------
    words : str
        In small letters, with blanks between them. One that ends in ``$`` must end where the word
        does; one that begins with ``*`` may stand anywhere in a word.
    *phrases : str
        Several words together, which in keys are written without their blanks.
    """

    def __init__(self, words: str, *phrases: str) -> None:
        said = [*words.split(), *phrases]
        self._by_head: dict[str, list[tuple[str, bool, bool]]] = {}
        for word in said:
            for one in _written(word):
                head, cue = _cue(one)
                self._by_head.setdefault(head, []).append(cue)

    def ends(self, reading: Reading) -> Sequence[int]:
        """Where each word that is in `reading` ends, in order."""
        if id(self) not in reading.places:
            reading.places[id(self)] = sorted(set(self._ends(reading)))
        return reading.places[id(self)]

    def _ends(self, reading: Reading) -> Iterator[int]:
        text, folded = reading.text, reading.folded
        there = [head for head in self._by_head if head == "" or head in reading.heads]
        for word, anywhere, whole in (cue for head in there for cue in self._by_head[head]):
            place = folded.find(word)
            while place >= 0:
                end = place + len(word)
                begins = anywhere or _begins(text, place)
                if begins and not (whole and _goes_on(text, end)):
                    yield end
                place = folded.find(word, end)


def _written(word: str) -> Iterator[str]:
    """A word as it stands in sentences and, of several, in keys of all kinds."""
    yield word
    if " " in word.rstrip("$"):
        yield from (word.replace(" ", mark) for mark in ("_", "-", ""))


def _cue(word: str) -> tuple[str, tuple[str, bool, bool]]:
    """The letters that a word begins with; it, whether it stands anywhere, whether it is whole."""
    bare = word.strip("*$")
    anywhere = word[0] == "*" or _UNSPACED.match(bare) is not None
    head = "".join(takewhile(str.isalpha, bare[:HEAD]))
    return "" if anywhere else head, (bare, anywhere, word[-1] == "$")


def _goes_on(text: str, place: int) -> bool:
    """Whether the word before `place` has more letters; a capital begins another."""
    after = text[place : place + 1]
    if not after.isalpha() or (text[place - 1].isascii() and _UNSPACED.match(after)):
        return False
    return not (after.isupper() and text[place - 1].islower())


def _begins(text: str, place: int) -> bool:
    """Whether a word of a sentence or of a key begins at `place`."""
    if place == 0 or not text[place - 1].isalpha():
        return True
    before = text[place - 1]
    return (text[place].isupper() and before.islower()) or _UNSPACED.match(before) is not None
