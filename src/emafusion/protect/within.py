"""Which strings of JSON a place of a text is within, while the text is read along.

Any text may hold JSON: all of it, some lines, or a field, `"name": "…"`. What a string of that
holds is such a text itself. Knows where strings begin and end, and nothing of what they say.
"""

from __future__ import annotations

import re
from typing import Final

from emafusion.protect.nested import DEEPEST

_STOP: Final = re.compile(r'["\\\n]')
_OPENS: Final = re.compile(r'["\[{]')
_SPACE: Final = re.compile(r"\s+")
_WORDS: Final = frozenset("0123456789+-.eEtrufalsnTFNoIiy")
"""What numbers and the words of JSON, and of Python in their stead, are written with."""
_MEANT: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_HEX: Final = frozenset("0123456789abcdefABCDEF")
_STRING, _VALUE = "s", "v"


class Within:
    """How many strings of JSON within each other a text that is read piece by piece is in.

    However it is cut, it is the same. JSON ends with its last bracket, or where it is none any
    more; quotes in prose begin nothing.

    Parameters
    ----------
    always : bool
        All of the text is JSON.
    deep : int
        How many strings this text is within.
    """

    def __init__(self, *, always: bool = False, deep: int = 0) -> None:
        self._always = always
        self._deep = deep
        self._open = 0
        # What was last: a bracket, a comma, a colon, or a value; in prose only what a field has.
        self._last = ""
        self._inside = False
        self._unbegun = False
        self._escape = ""
        self._text: Within | None = None

    @property
    def depth(self) -> int:
        """How many strings it is in here."""
        if not self._inside:
            return int(self._always)
        return 1 if self._text is None else 1 + self._text.depth

    def read(self, text: str) -> None:
        """`text` comes next."""
        place = 0
        while place < len(text):
            if self._inside:
                place = self._string(text, place)
            elif self._open or self._always:
                place = self._between(text, place)
            else:
                place = self._prose(text, place)

    def value(self) -> None:
        """A value comes next, whatever it says."""
        self._escape = ""
        if self._inside:
            if self._text is not None:
                self._text.value()
            self._go_on()
        else:
            self._last = _VALUE if self._open else ""

    def _prose(self, text: str, place: int) -> int:
        """Where to go on behind what stands at `place`, as all below."""
        if not self._last:
            opened = _OPENS.search(text, place)
            if opened is None:
                return len(text)
            self._last = opened[0]
            self._open = int(opened[0] != '"')
            return opened.end()
        c = text[place]
        if c in " \t":
            return place + 1
        if self._last == '"' and c == ":":
            self._last = c
            return place + 1
        if self._last == ":" and c in '"\\':
            return self._begin(place, c)
        self._last = ""
        return place

    def _between(self, text: str, place: int) -> int:
        """As :meth:`_prose`, of what is between strings of JSON."""
        space = _SPACE.match(text, place)
        if space is not None:
            return space.end()
        c, last = text[place], self._last
        if c == '"' and (self._always or last in "{[,:"):
            return self._begin(place, c)
        if c in "]}":
            self._open -= 1
            self._last = _VALUE if self._open > 0 else ""
            self._open = max(self._open, 0)
        elif c in "[{" and (self._always or last in "[,:"):
            self._open += 1
            self._last = c
        elif (c == ":" and last == _STRING) or (c == "," and last in (_STRING, _VALUE)):
            self._last = c
        elif c in _WORDS and last in ("[", ",", ":", _VALUE):
            self._last = _VALUE
        elif self._always:
            self._last = ""
        elif c == "\\" and last in ("{", "[", ",", ":", _VALUE):
            return self._begin(place, c)
        else:
            self._leave()
            return place
        return place + 1

    def _begin(self, place: int, c: str) -> int:
        """A string begins with the quote, or has begun before the backslash, `c` at `place`."""
        if c == '"':
            self._inside = True
            return place + 1
        opened, last = self._open, self._last
        self._leave()
        if self._deep == DEEPEST:
            return place + 1
        self._inside = self._unbegun = True
        self._text = Within(deep=self._deep + 1)
        self._text._open, self._text._last = opened, last
        return place

    def _string(self, text: str, place: int) -> int:
        """As :meth:`_prose`, of what is in a string."""
        if self._escape:
            return self._escaped(text[place], place)
        # One whose beginning was not seen ends where it holds no JSON any more.
        end = place + 1 if self._unbegun else len(text)
        found = _STOP.search(text, place, end)
        stop = end if found is None else found.start()
        if stop > place:
            self._say(text[place:stop])
            return stop
        c = text[place]
        if c == "\\":
            self._escape = c
        elif c == '"' and self._unbegun:
            self._leave()
            self._last = c
        elif c == '"':
            self._inside, self._text = False, None
            self._last = _STRING if self._open else ""
        elif self._always or self._unbegun:
            self._say(c)
        else:
            self._leave()
        return place + 1

    def _escaped(self, c: str, place: int) -> int:
        said = self._escape + c
        if not said.startswith("\\u"):
            self._escape = ""
            self._say(_MEANT.get(c, c))
        elif len(said) > 2 and c not in _HEX:
            self._escape = ""
            return place
        elif len(said) == 6:
            self._escape = ""
            self._say(chr(int(said[2:], 16)))
        else:
            self._escape = said
        return place + 1

    def _say(self, meant: str) -> None:
        """The string goes on with what means `meant`."""
        if self._text is None and self._deep < DEEPEST and _OPENS.search(meant) is not None:
            self._text = Within(deep=self._deep + 1)
        if self._text is not None:
            self._text.read(meant)
        self._go_on()

    def _go_on(self) -> None:
        text = self._text
        if self._unbegun and text is not None and not (text._inside or text._open or text._last):
            self._leave()

    def _leave(self) -> None:
        """Here is prose."""
        self._open, self._last, self._escape = 0, "", ""
        self._inside, self._unbegun, self._text = False, False, None
