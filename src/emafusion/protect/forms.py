"""What the forms of a request want as text: of tools' arguments, and of the answer.

Knows JSON schemas as far as their properties' types. It knows nothing of what is in them.
"""

from __future__ import annotations

from collections.abc import Mapping

FORMS = ("tools", "functions", "response_format")
"""Parameters with forms in them."""
TEXT = frozenset({"string"})
UNKNOWN = frozenset({""})


def spoken(params: Mapping[str, object]) -> frozenset[str]:
    """The names of those properties in the forms of `params` that are text wherever they are."""
    texts: set[str] = set()
    others: set[str] = set()
    waiting = [params.get(name) for name in FORMS]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Mapping):
            # The names of properties are no fields of a form: one may be `properties` or `type`.
            properties = one.get("properties")
            forms = properties if isinstance(properties, Mapping) else {}
            for name, form in forms.items():
                (texts if _types(form) == TEXT else others).add(name)
            waiting.extend(forms.values())
            waiting.extend(item for item in one.values() if item is not forms)
        elif isinstance(one, (list, tuple)):
            waiting.extend(one)
    return frozenset(texts - others)


def _types(form: object) -> frozenset[str]:
    """The types that a value of `form`, or what is listed in one, may have but for none."""
    found: set[str] = set()
    waiting = [form]
    while waiting:
        one = waiting.pop()
        told = one.get("type") if isinstance(one, Mapping) else None
        either = one.get("anyOf") or one.get("oneOf") if isinstance(one, Mapping) else None
        if isinstance(either, (list, tuple)):
            waiting.extend(either)
        elif isinstance(one, Mapping) and told == "array":
            waiting.append(one.get("items"))
        else:
            said = told if isinstance(told, (list, tuple)) else [told]
            found.update(kind if isinstance(kind, str) else "" for kind in said)
    return frozenset(found - {"null"}) or UNKNOWN
