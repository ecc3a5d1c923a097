"""The part of JSON Schema that callers' response formats use: types, fields, items, choices.

Knows ``type``, ``enum``, ``const``, ``required``, ``properties``, ``additionalProperties``,
``items``, ``minItems``, ``maxItems``, ``anyOf``, ``oneOf``, ``allOf`` and local ``$ref``; any other
keyword permits everything. Does not know where a schema came from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeGuard

from msgspec import Struct

from emafusion.answers.structured import Json

DEEPEST: Final = 100
"""References and alternatives that are followed below one another; deeper, all is permitted."""


class Schema(Struct, frozen=True, kw_only=True):
    """One node of a schema: what it asks of a value, and of what lies within.

    ``root`` is the whole schema, which local references lead into. A node that is not a mapping
    permits everything.
    """

    node: object = None
    root: object = None
    depth: int = 0

    @classmethod
    def of(cls, response_format: object) -> Schema | None:
        """The schema in a request's ``response_format``, or ``None`` where it gives none."""
        if not isinstance(response_format, Mapping):
            return None
        wrapped = response_format.get("json_schema")
        node = wrapped.get("schema") if isinstance(wrapped, Mapping) else None
        wanted = response_format.get("type") == "json_schema" and isinstance(node, Mapping)
        return cls(node=node, root=node) if wanted else None

    @property
    def required(self) -> frozenset[str]:
        """The names of the fields that an object must have."""
        names = self._own.get("required")
        return frozenset(n for n in names if isinstance(n, str)) if _listed(names) else frozenset()

    def field(self, name: str) -> Schema:
        """What is asked of the field `name` of an object."""
        fields = self._own.get("properties")
        if isinstance(fields, Mapping) and name in fields:
            return self._at(fields[name])
        return self._at(self._own.get("additionalProperties"))

    @property
    def item(self) -> Schema:
        """What is asked of each item of an array."""
        return self._at(self._own.get("items"))

    def permits(self, value: Json) -> bool:
        """Whether `value` keeps to this schema, as far as its keywords are known here."""
        own = self._own
        return self.depth > DEEPEST or (
            all(check(own[word], value) for word, check in _CHECKS.items() if word in own)
            and self._permits_alternatives(value)
            and self._permits_within(value)
        )

    @property
    def _own(self) -> Mapping[str, object]:
        node = self.node
        for _ in range(DEEPEST):
            if not isinstance(node, Mapping):
                return {}
            reference = node.get("$ref")
            if not isinstance(reference, str):
                return node
            node = self._resolved(reference)
        return {}

    def _resolved(self, reference: str) -> object:
        if not reference.startswith("#"):
            return None
        node = self.root
        for step in reference[1:].split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            node = node.get(name) if isinstance(node, Mapping) else None
        return node

    def _at(self, node: object) -> Schema:
        return Schema(node=node, root=self.root, depth=self.depth + 1)

    def _permits_alternatives(self, value: Json) -> bool:
        some: list[tuple[str, Callable[[list[bool]], bool]]] = [
            ("anyOf", any), ("oneOf", lambda found: sum(found) == 1), ("allOf", all)
        ]  # fmt: skip
        for word, enough in some:
            nodes = self._own.get(word)
            if _listed(nodes) and not enough([self._at(n).permits(value) for n in nodes]):
                return False
        return True

    def _permits_within(self, value: Json) -> bool:
        own = self._own
        if isinstance(value, list):
            return "items" not in own or all(self.item.permits(entry) for entry in value)
        if not isinstance(value, dict):
            return True
        known = own.get("properties")
        known = known if isinstance(known, Mapping) else {}
        closed = own.get("additionalProperties") is False
        return self.required <= value.keys() and all(
            (name in known or not closed) and self.field(name).permits(entry)
            for name, entry in value.items()
        )


def _listed(value: object) -> TypeGuard[Sequence[object]]:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _typed(wanted: object, value: Json) -> bool:
    names = wanted if _listed(wanted) else [wanted]
    return any(_TYPES[n](value) for n in names if isinstance(n, str) and n in _TYPES)


def _number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _whole(value: Json) -> bool:
    return _number(value) and (not isinstance(value, float) or value.is_integer())


def _equal(one: object, other: object) -> bool:
    """JSON's equality, in which 1 is 1.0 and true is not 1."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _count(bound: object, value: Json) -> tuple[int, int] | None:
    """The length of an array and the bound on it, where there are both."""
    if isinstance(bound, int) and isinstance(value, list):
        return len(value), bound
    return None


def _at_least(bound: object, value: Json) -> bool:
    count = _count(bound, value)
    return count is None or count[0] >= count[1]


def _at_most(bound: object, value: Json) -> bool:
    count = _count(bound, value)
    return count is None or count[0] <= count[1]


_TYPES: Final[Mapping[str, Callable[[Json], bool]]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "number": _number,
    "integer": _whole,
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
}
_CHECKS: Final[Mapping[str, Callable[[object, Json], bool]]] = {
    "type": _typed,
    "enum": lambda listed, value: _listed(listed) and any(_equal(one, value) for one in listed),
    "const": _equal,
    "minItems": _at_least,
    "maxItems": _at_most,
}
