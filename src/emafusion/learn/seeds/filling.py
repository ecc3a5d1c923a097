"""Draws fillings of a seed's slots: without repeats, each in one split for good.

Knows the cross product of the slots and which split a filling belongs to; does not word it. A row
of a longer table belongs to one split, and with it every filling that uses the row; the fillings of
other seeds go by the hash of their values. Neither depends on the seed of the random source.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from emafusion.answers.structured import Json
from emafusion.learn.families import SHARES, Split, split_of
from emafusion.learn.seeds.expressions import Scope, Value
from emafusion.learn.seeds.seed import Seed
from emafusion.learn.seeds.slots import FEWEST_SPLIT, Rows, Slot
from emafusion.learn.seeds.templates import fill_known, plain

_LISTED: Final = 50_000
"""Cross products up to this size are shuffled whole; larger ones are drawn from."""
_TRIED: Final = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Filling:
    """One assignment of values to a seed's slots.

    Attributes
    ----------
    scope
        The values, the computed ones too.
    values
        The drawn values as JSON, for the record.
    digest
        Hexadecimal digits that depend on the seed's name and the drawn values.
    rows
        The rows that decided its split: ``seed/slot#digest``.
    """

    scope: Scope
    values: Mapping[str, Json]
    digest: str
    rows: tuple[str, ...]


def fillings(seed: Seed, split: Split, rng: random.Random) -> Iterator[Filling]:
    """The seed's distinct fillings of a split, until many draws in a row bring nothing new.

    Raises
    ------
    DataError
        A computed slot or a condition cannot be worked out.
    """
    indices = {name: _indices(seed, name, slot, split=split) for name, slot in seed.slots.items()}
    tied = [name for name, slot in seed.slots.items() if _tied(slot)]
    seen: set[str] = set()
    missed = 0
    for places in _places([len(index) for index in indices.values()], rng):
        scope: dict[str, Value] = {
            name: seed.slots[name].at(index[place])
            for (name, index), place in zip(indices.items(), places, strict=True)
        }
        filling = _filling(seed, scope, tied)
        fits = bool(tied) or split_of(filling.digest) == split
        if fits and filling.digest not in seen and _holds(seed, filling.scope):
            seen.add(filling.digest)
            missed = 0
            yield filling
        else:
            missed += 1
        if missed > _TRIED:
            return


def scope_of(seed: Seed, drawn: Scope) -> Scope:
    """The values drawn, rows with the other slots written into their texts, and the computed ones.

    Raises :class:`DataError` where a computed slot cannot be worked out.
    """
    scope = {name: _inner(value, drawn) for name, value in drawn.items()}
    for name, expression in seed.computed.items():
        scope[name] = expression(scope)
    return scope


def _filling(seed: Seed, drawn: Mapping[str, Value], tied: Sequence[str]) -> Filling:
    values = {name: plain(value) for name, value in drawn.items()}
    return Filling(
        scope=scope_of(seed, drawn),
        values=values,
        digest=_digest([seed.name, values]),
        rows=tuple(f"{seed.name}/{name}#{_digest(values[name])[:16]}" for name in tied),
    )


def _inner(value: Value, drawn: Scope) -> Value:
    """A row with the other slots written into its texts; anything else as it is."""
    if not isinstance(value, Mapping):
        return value
    return {
        column: fill_known(part, drawn) if isinstance(part, str) else part
        for column, part in value.items()
    }


def _holds(seed: Seed, scope: Scope) -> bool:
    return all(condition(scope) for condition in seed.where)


def _tied(slot: Slot) -> bool:
    return isinstance(slot, Rows) and slot.size >= FEWEST_SPLIT


def _indices(seed: Seed, name: str, slot: Slot, *, split: Split) -> Sequence[int]:
    """The indices of a slot that a split may use."""
    if not _tied(slot):
        return range(slot.size)
    order = sorted(
        range(slot.size), key=lambda index: _digest([seed.name, name, plain(slot.at(index))])
    )
    low, high = (slot.size * share // 100 for share in SHARES[split])
    return sorted(order[low:high])


def _places(sizes: Sequence[int], rng: random.Random) -> Iterator[list[int]]:
    """Places in the cross product of lists of these sizes, none twice while it can be listed."""
    total = 1
    for size in sizes:
        total *= size
    if total <= _LISTED:
        order = list(range(total))
        rng.shuffle(order)
        yield from (_decoded(index, sizes) for index in order)
        return
    while True:
        yield _decoded(rng.randrange(total), sizes)


def _decoded(index: int, sizes: Sequence[int]) -> list[int]:
    places = []
    for size in sizes:
        index, place = divmod(index, size)
        places.append(place)
    return places


def _digest(content: object) -> str:
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
