"""What stands beside a text in a request and says what the text is: names, and options before it.

Knows how arguments name their values, in fields and in pairs of fields, how command lines do, and
which numbers of a tool's form are bounds. It knows no kind of value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

ALONE: Final = ("",)
"""What stands before a text that nothing names."""
KEY = 64
"""Characters of a name that a value is read with."""
NEUTRAL = frozenset({
    "value", "values", "val", "text", "string", "default", "secret", "number", "num", "no", "nr",
    "id", "identifier", "code", "date", "data", "content", "current", "old", "new", "main",
    "primary", "home", "work", "mobile", "input",
})  # fmt: skip
"""Names that say nothing: what such a field is, the name around it or beside it says, too."""
QUIET = NEUTRAL - {"secret"}
"""Those that say nothing of what is within, either."""
NAMING = frozenset({
    "name", "key", "field", "label", "variable", "parameter", "header", "type", "kind", "system",
    "id", "title", "element", "selector",
})  # fmt: skip
"""Fields that name what stands beside them."""
MOST = 5
"""Names that one value is read with."""
NEAR = 256
"""Characters of the longest text that has to be read with other names than its own."""
BOUNDS = frozenset({
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength",
    "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "minContains",
    "maxContains",
})  # fmt: skip
"""Numbers of a form that say how others may be."""
SAMPLES = frozenset({"const", "enum", "default", "example", "examples"})
"""Fields of a form with values as its property has them."""

_DIGIT: Final = re.compile("[0-9]")

Change = Callable[[str, tuple[str, ...]], str]
"""From a text, and all that it is to be read behind, to the text in its place."""


class Digits(str):
    """A number as a text: what stands for it comes back as a number."""

    __slots__ = ()


class Place(Struct, frozen=True):
    """Where in a request a text stands.

    Parameters
    ----------
    change : callable
        What is done with each text.
    names : tuple of str
        The names of the argument it is in; none outside of any.
    behind : str
        What stands before it on a command line.
    form : bool
        Whether it is in a tool's form, or an answer's.
    field, of : str
        There: the field it is in, and the property whose form that is.
    """

    change: Change
    names: tuple[str, ...] = ()
    behind: str = ""
    form: bool = False
    field: str = ""
    of: str = ""

    def __call__(self, text: str) -> str:
        """What is in the place of `text`."""
        if not self.names:
            return self.change(text, ALONE)
        read = tuple(f"{name[-KEY:]}: " if name else "" for name in self._said_of(text))
        return self.change(text, (*read, self.behind) if self.behind else read)

    def _said_of(self, text: str) -> tuple[str, ...]:
        """Those of the names that may say what `text` is.

        Those around its own do as far as what is within says nothing; of what has digits, as most
        has that a name farther out could tell of, all do. What is long tells by itself.
        """
        if len(text) > NEAR:
            return self.names[:1]
        last = len(self.names)
        if not _DIGIT.search(text):
            loud = (n for n, name in enumerate(self.names, 1) if not neutral(name))
            last = next(loud, last)
        outer = (name for name in self.names[1:last] if name.casefold() not in QUIET)
        return tuple(dict.fromkeys((*self.names[:1], *outer)))

    def name(self, name: str) -> str:
        """What is in the place of a field's `name`, which its parent's says nothing about."""
        return self.change(name, ALONE)

    def number(self, digits: str) -> str:
        """What is in the place of a number."""
        return self(Digits(digits))

    def given(self) -> Place:
        """The place of a call's arguments, or of what else is no form and has names."""
        return Place(self.change, ALONE)

    def under(self, name: str) -> Place:
        """The place of the value of the field `name`; :data:`SAMPLES` of a form are no form."""
        if not self.form:
            names = tuple(filter(None, (name, *self.names)))
            return Place(self.change, names[:MOST] or ALONE) if self.names else self
        if self.field == "properties":
            return replace(self, field="", of=name)
        if name in SAMPLES:
            return Place(self.change, (self.of,))
        return replace(self, field=name)

    def beside(self, fields: Mapping[str, object]) -> Place:
        """The place of what in `fields` has a neutral name, where others of them name it."""
        if not self.names or not any(map(neutral, fields)):
            return self
        said = [_naming(fields[name]) for name in fields if name.casefold() in NAMING]
        return replace(self, names=(*filter(None, said), *self.names)) if any(said) else self

    def at(self, items: Sequence[object], n: int) -> Place:
        """The place of ``items[n]``, which may be an option on a command line, or an option's."""
        item, before, first = items[n], items[n - 1] if n else None, items[0]
        if not (self.names and isinstance(item, str) and isinstance(before, str)):
            return self
        if not isinstance(first, str) or not (item.startswith("-") or before.startswith("-")):
            return self
        # `--password x` says what `--password=x` does, and `-p x` what `-px` does.
        mark = "=" if before.startswith("--") else "" if before.startswith("-") else " "
        option = "" if item.startswith("-") else before[-KEY:] + mark
        return replace(self, behind=f"{first[-KEY:]} {option}")


def neutral(name: str) -> bool:
    """Whether `name` says nothing of what bears it."""
    return name.casefold() in NEUTRAL


def _naming(value: object) -> str:
    """What a field that names others says, as a name."""
    if isinstance(value, Mapping):
        value = value.get("text")
    return "_".join(value[:KEY].split()) if isinstance(value, str) else ""
