"""What stands beside a text in a request and says what the text is: names, and options before it.

Knows how arguments name their values, in fields and in pairs of fields, how command lines do, and
which numbers of a tool's form are bounds. It knows no kind of value.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from math import inf
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
    "primary", "home", "work", "mobile", "input", "token",
})  # fmt: skip
"""Names that say nothing: what such a field is, the name around it or beside it says, too."""
QUIET = NEUTRAL - {"secret", "token"}
"""Those that say nothing of what is within, either."""
NAMING = frozenset({
    "name", "key", "field", "label", "variable", "parameter", "header", "type", "system", "element",
    "selector",
})  # fmt: skip
"""Fields that name what stands beside them."""
HEADING = frozenset({"title", "kind", "id"})
"""Those that do so for :data:`SAID` alone: what else is beside them is about something else."""
SAID = frozenset({"value", "values", "val", "text", "string", "input"})
PLURAL = frozenset({"passwords", "secrets", "phones", "phone_numbers", "phonenumbers"})
"""Names of many values: what is named within them is one all the same."""
WHERE = frozenset({"file", "path", "line", "url"})
"""Names of where something is, which are no values."""
MOST = 5
"""Names that one value is read with."""
SHORT, LONG = 10**4, 10**8
"""The least numbers that may stand for a person or an account: with a name, and by themselves."""
BOUNDS = frozenset({
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength",
    "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "minContains",
    "maxContains",
})  # fmt: skip
"""Numbers of a form that say how others may be."""
SAMPLES = frozenset({"const", "enum", "default", "example", "examples"})
"""Fields of a form with values as its property has them."""
SHOWN = frozenset({"example", "examples"})
"""Those that no value has to be one of: the property's name says what they are."""

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
    least : float
        The least number that is read; below it, numbers count or name no one.
    listed : bool
        Whether it is an item of a list.
    """

    change: Change
    names: tuple[str, ...] = ()
    behind: str = ""
    form: bool = False
    field: str = ""
    of: str = ""
    least: float = LONG
    listed: bool = False

    def __call__(self, text: str) -> str:
        """What is in the place of `text`."""
        read = tuple(f"{name[-KEY:]}: " if name else "" for name in self.names) or ALONE
        return self.change(text, (*read, self.behind) if self.behind else read)

    def name(self, name: str) -> str:
        """What is in the place of a field's `name`, which its parent's says nothing about."""
        if self.least == inf and name.isdecimal() and len(name) < len(str(LONG)):
            return name  # a token
        return self.change(name, ALONE)

    def number(self, digits: str) -> str:
        """What is in the place of a number."""
        return self.numbers(Digits(digits))

    def numbers(self, text: str) -> str:
        """What is in the place of numbers as one text; a form's :data:`SAMPLES` are as named."""
        named = self.form and self.field in SAMPLES and self.of
        return (replace(self, names=(self.of,)) if named else self)(text)

    def given(self, least: float = SHORT) -> Place:
        """The place of a call's arguments, or of what else is no form and has names."""
        return Place(self.change, ALONE, least=least)

    def under(self, name: str, item: object) -> Place:
        """The place of `item`, the value of the field `name`.

        What that says nothing of, the names around it do, to the first that says something.
        """
        if not self.form:
            if not self.names:
                return self
            around = neutral(name) or self._holds(name, item)
            outer = [one for one in self.names if one and one.casefold() not in QUIET]
            names = (name, *(outer if around else ()))[:MOST]
            return Place(self.change, names, least=self.least)
        if self.field == "properties":
            return replace(self, field="", of=name)
        if name in SHOWN:
            return Place(self.change, (self.of,))
        return replace(self, field=name)

    def _holds(self, name: str, item: object) -> bool:
        """Whether `item` is one of the values that the name around its own is the plural of."""
        fields = self.listed or isinstance(item, Mapping) or name.casefold() in WHERE
        return not fields and self.names[0].casefold() in PLURAL

    def within(self, fields: Mapping[str, object]) -> Iterator[tuple[str, object, Place]]:
        """Each of `fields`, its name and its place; what a neutral name has, others may name."""
        named = headed = self
        if self.names and any(map(neutral, fields)):
            named, headed = self._beside(fields, NAMING), self._beside(fields, NAMING | HEADING)
        for name, item in fields.items():
            place = headed if name.casefold() in SAID else named if neutral(name) else self
            yield name, item, place.under(name, item)

    def _beside(self, fields: Mapping[str, object], naming: Collection[str]) -> Place:
        said = [_naming(fields[name]) for name in fields if name.casefold() in naming]
        return replace(self, names=(*filter(None, said), *self.names)) if any(said) else self

    def at(self, items: Sequence[object], n: int) -> Place:
        """The place of ``items[n]``, which may be an option on a command line, or an option's."""
        item, before, first = items[n], items[n - 1] if n else None, items[0]
        if isinstance(item, Mapping):
            return replace(self, listed=True)
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
