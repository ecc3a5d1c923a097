"""What stands beside a text in a request and says what the text is: names, and options before it.

Knows how arguments name their values, in fields and in pairs of fields, how command lines do, and
which numbers of a tool's form are bounds. It knows no kind of value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

ALONE: Final = ("",)
"""What stands before a text that nothing names."""
KEY = 64
"""Characters of a name that a value is read with."""
NEUTRAL = frozenset({"value", "values", "val", "text", "string", "default", "secret"})
"""Names that say nothing: what such a field is, the name around it or beside it says, too."""
NAMING = frozenset({"name", "key", "field", "label", "variable", "parameter", "header"})
"""Fields that name what stands beside them."""
MOST = 3
"""Names that one value is read with."""
BOUNDS = frozenset({
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength",
    "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "minContains",
    "maxContains",
})  # fmt: skip
"""Numbers of a form that say how others may be."""
SAMPLES = frozenset({"const", "enum", "default", "example", "examples"})
"""Fields of a form with values as its property has them."""

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
        read = tuple(f"{name[-KEY:]}: " if name else "" for name in self.names) or ALONE
        return self.change(text, (*read, self.behind) if self.behind else read)

    def name(self, name: str) -> str:
        """What is in the place of a field's `name`, which its parent's says nothing about."""
        return self.change(name, ALONE)

    def number(self, digits: str) -> str:
        """What is in the place of a number; the :data:`SAMPLES` of a form are its property's."""
        if self.form and self.field in SAMPLES and self.of:
            return self.change(Digits(digits), (f"{self.of[-KEY:]}: ",))
        return self(Digits(digits))

    def given(self) -> Place:
        """The place of a call's arguments."""
        return Place(self.change, ALONE)

    def under(self, name: str) -> Place:
        """The place of the value of the field `name`."""
        if self.form:
            named = self.field == "properties"
            return replace(self, field="" if named else name, of=name if named else self.of)
        if not self.names:
            return self
        outer = [one for one in self.names if one and not _neutral(one)] if _neutral(name) else []
        return Place(self.change, (name, *outer)[:MOST])

    def beside(self, fields: Mapping[str, object]) -> Place:
        """The place of what in `fields` has no name of its own, where another of them names it."""
        if not self.names or not any(map(_neutral, fields)):
            return self
        for name, value in fields.items():
            if isinstance(value, str) and name.casefold() in NAMING:
                return replace(self, names=(value, *self.names))
        return self

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


def _neutral(name: str) -> bool:
    return name.casefold() in NEUTRAL
