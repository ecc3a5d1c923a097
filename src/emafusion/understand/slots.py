"""Templates with slots, and the vocabulary that fills them.

``{{person}}`` draws a value of the slot ``person``; used again it is the same value, and
``{{person2}}`` another one. Values may hold slots themselves. A slot may have values per domain.
Built in: ``{{int:2-9}}``, ``{{decimal:0.5-2.0}}``, ``{{repeat:SLOT:2-4}}`` (joined by spaces),
``{{lines:SLOT:2-4}}`` (by newlines) and ``{{options:SLOT}}`` (lettered answers). This file knows no
labels but the domain it is told.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from emafusion.errors import ConfigError

Values = tuple[str, ...]
_SLOT = re.compile(r"\{\{([a-z][a-z0-9_]*(?::[^{}:]+){0,2})\}\}")
_NUMBERED = re.compile(r"^([a-z_]+?)\d*$")
_RANGE = re.compile(r"^(-?\d+(?:\.\d+)?)-(-?\d+(?:\.\d+)?)$")
_BUILT_IN = {"int": 1, "decimal": 1, "repeat": 2, "lines": 2, "options": 1}
_DEEPEST = 8
_STYLES = ("({}) ", "{}. ", "{}) ", "{}: ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """Values for slots: ``plain`` by slot, ``by_domain`` by slot and domain label."""

    plain: Mapping[str, Values] = field(repr=False)
    by_domain: Mapping[str, Mapping[str, Values]] = field(repr=False)

    def fill(self, template: str, domain: str, rng: random.Random) -> str:
        """`template` with every slot filled, values drawn with `rng`."""
        return self.fill_and_tell(template, domain, rng)[0]

    def fill_and_tell(self, template: str, domain: str, rng: random.Random) -> tuple[str, bool]:
        """The filled `template`, and whether any value was drawn from those of the `domain`."""
        seen: set[str] = set()
        text = _Scope(self, domain, rng=rng, seen=seen).fill(template, 0)
        return text, bool(seen & self.by_domain.keys())

    def values(self, slot: str, domain: str) -> Values:
        """The values of `slot` for `domain`; empty where there are none."""
        if slot in self.plain:
            return self.plain[slot]
        return self.by_domain.get(slot, {}).get(domain, ())

    def check(self, template: str, domain: str, *, where: str, sound: set[tuple[str, str]]) -> None:
        """Raise :class:`~emafusion.errors.ConfigError` unless `template` can be filled.

        `sound` collects the (slot, domain) pairs found good, so that many templates are checked
        in the time of their vocabulary.
        """
        self._check(template, domain, where=where, path=(), sound=sound)

    def _check(
        self,
        template: str,
        domain: str,
        *,
        where: str,
        path: tuple[str, ...],
        sound: set[tuple[str, str]],
    ) -> None:
        for call in _calls(template):
            problem = _fault(call)
            if problem:
                raise ConfigError(f"{where}: {problem}")
            slot = _drawn(call)
            if slot is None or (slot, domain) in sound:
                continue
            if slot in path:
                raise ConfigError(f"{where}: slot {slot!r} contains itself")
            values = self.values(slot, domain)
            if not values:
                raise ConfigError(f"{where}: no values for slot {slot!r} (domain {domain!r})")
            for value in values:
                inside = (*path, slot)
                self._check(value, domain, where=f"slot {slot!r}", path=inside, sound=sound)
            sound.add((slot, domain))


class _Scope:
    """One template being filled: the values its slots have drawn so far."""

    def __init__(
        self, vocabulary: Vocabulary, domain: str, *, rng: random.Random, seen: set[str]
    ) -> None:
        self.seen = seen
        self.vocabulary = vocabulary
        self.domain = domain
        self.rng = rng
        self.drawn: dict[str, str] = {}

    def fill(self, template: str, depth: int) -> str:
        if depth > _DEEPEST:
            raise ConfigError(f"slots nest deeper than {_DEEPEST}: {template[:60]!r}")
        return _SLOT.sub(lambda match: self._value(match[1], depth), template)

    def _value(self, call: str, depth: int) -> str:
        name, *arguments = call.split(":")
        if name == "int":
            low, high = _bounds(arguments[0])
            return str(self.rng.randint(int(low), int(high)))
        if name == "decimal":
            return f"{self.rng.uniform(*_bounds(arguments[0])):.{self.rng.choice((1, 1, 2))}f}"
        if name == "options":
            return self._options(arguments[0], depth)
        if name in _BUILT_IN:
            low, high = _bounds(arguments[1])
            count = self.rng.randint(int(low), int(high))
            parts = [self._one(arguments[0], depth) for _ in range(count)]
            return (" " if name == "repeat" else "\n").join(parts)
        if name not in self.drawn:
            self.drawn[name] = self._other(name, depth)
        return self.drawn[name]

    def _one(self, slot: str, depth: int) -> str:
        self.seen.add(slot)
        chosen = self.rng.choice(self.vocabulary.values(slot, self.domain))
        return _Scope(self.vocabulary, self.domain, rng=self.rng, seen=self.seen).fill(
            chosen, depth + 1
        )

    def _other(self, name: str, depth: int) -> str:
        slot = base(name)
        taken = {value for other, value in self.drawn.items() if base(other) == slot}
        value = self._one(slot, depth)
        for _ in range(20):
            if value not in taken:
                break
            value = self._one(slot, depth)
        return value

    def _options(self, slot: str, depth: int) -> str:
        wanted = self.rng.choice((2, 3, 4, 4, 4, 5, 5, 6, 8, 9, 10, 10, 10))
        drawn = dict.fromkeys(self._one(slot, depth) for _ in range(wanted * 2))
        style = self.rng.choice(_STYLES)
        letters = "abcdefghij" if self.rng.random() < 0.15 else "ABCDEFGHIJ"
        listed = list(drawn)[:wanted]
        return "\n".join(style.format(a) + text for a, text in zip(letters, listed, strict=False))


def base(name: str) -> str:
    """The slot that `name` draws from: ``person2`` draws from ``person``."""
    match = _NUMBERED.match(name)
    return match[1] if match else name


def _calls(template: str) -> Iterator[str]:
    return (match[1] for match in _SLOT.finditer(template))


def _drawn(call: str) -> str | None:
    name, *arguments = call.split(":")
    if name in {"int", "decimal"}:
        return None
    return arguments[0] if name in _BUILT_IN else base(name)


def _fault(call: str) -> str | None:
    name, *arguments = call.split(":")
    if len(arguments) != _BUILT_IN.get(name, 0):
        return f"slot {{{{{call}}}}} is not of a known form"
    if name in _BUILT_IN and name != "options":
        low_high = _RANGE.match(arguments[-1])
        if low_high is None or float(low_high[1]) > float(low_high[2]):
            return f"slot {{{{{call}}}}} needs a range LOW-HIGH"
    return None


def _bounds(text: str) -> tuple[float, float]:
    match = _RANGE.match(text)
    if match is None:
        raise ConfigError(f"{text!r} is not a range LOW-HIGH")
    return float(match[1]), float(match[2])
