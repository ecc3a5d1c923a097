"""One JSON answer from several drafts of it, decided field by field.

Knows how drafts' objects line up and how their fields are voted on. Does not know where a draft's
weight comes from, nor what a field means.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal

from msgspec import Struct

from emafusion.answers import structured
from emafusion.answers.dates import dates
from emafusion.answers.structured import Json
from emafusion.execute.schema import Schema
from emafusion.execute.vote import FLOOR

LONGEST: Final = 200_000
"""Characters of a draft beyond which it is not fused."""
DEEPEST: Final = 40
SHORT: Final = 3
"""Items up to which arrays of scalars are voted on whole: pairs and points are one thing."""
OVERLAP: Final = 0.5
"""The share of the smaller object's names that the larger must have for one schema."""
KEYS: Final = ("id", "uuid", "key", "code", "sku", "email", "name", "title", "label")
"""Fields that tell the objects of an array apart, the surest first."""
_FENCED: Final = re.compile(r"\s*```[ \t]*(?:json[c5]?)?[ \t]*\n(.*)\n[ \t]*```\s*", re.S | re.I)
_INDENT: Final = re.compile(r"[\[{]\r?\n([ \t]+)")
_TIGHT: Final = re.compile(r'":\S')
_LONGEST_DATE: Final = 30

Kind = Literal["object", "array", "scalar"]


class Weighted(Struct, frozen=True, kw_only=True):
    """A draft's text and the log-odds that it is right; one with a small weight still has a say."""

    text: str
    weight: float


class Fused(Struct, frozen=True, kw_only=True):
    """One JSON answer, and which drafts gave each part of it.

    Attributes
    ----------
    text
        Valid JSON, laid out and ordered as in the most trusted draft; fenced if all drafts were.
    draft
        The position of the draft that says exactly this; ``None`` where no single one does.
    provenance
        For each leaf, as a JSON pointer (RFC 6901), the positions of the drafts that gave it.
    confidence
        For each leaf the share of the drafts' weight that stands behind it, in (0, 1].
    least
        The share behind the least certain decision, one to leave something out included.
    """

    text: str
    draft: int | None
    provenance: Mapping[str, tuple[int, ...]]
    confidence: Mapping[str, float]
    least: float


class Voice(Struct, frozen=True, kw_only=True):
    """What one draft says at one place, how much it counts, and which draft it is."""

    value: Json
    weight: float
    draft: int

    def saying(self, value: Json) -> Voice:
        """The same draft's voice at another place."""
        return Voice(value=value, weight=self.weight, draft=self.draft)


Voices = Sequence[Voice]
"""The voices at one place, the most trusted first, at least one."""


def fuse(drafts: Sequence[Weighted], *, response_format: object = None) -> Fused | None:
    """The drafts' JSON as one, each field by weighted vote; ties go to the most trusted draft.

    Parameters
    ----------
    drafts : sequence of Weighted
        The drafts; the JSON may stand in a fence or among prose.
    response_format : object
        The request's own parameter. Fields that its schema requires are kept however few gave
        them; where the fused value would break the schema, the best draft that keeps it is taken.

    Returns
    -------
    Fused or None
        ``None``, "do not fuse", where fewer than two drafts hold JSON, where those of one schema
        are not most of the weight, or where neither the result nor a draft keeps to the schema.
    """
    read = {i: found for i, d in enumerate(drafts) if (found := _read(d.text)) is not None}
    voices = [
        Voice(value=value, weight=max(_finite(drafts[i].weight), FLOOR), draft=i)
        for i, (value, _) in read.items()
    ]
    voices.sort(key=lambda voice: (-voice.weight, voice.draft))
    panel = _of_one_schema(voices)
    if len(panel) < 2:
        return None
    schema = Schema.of(response_format)
    ballot = Ballot(panel)
    value = ballot.merge("", panel, schema or Schema())
    if schema is not None and not schema.permits(value):
        kept = next((voice.value for voice in voices if schema.permits(voice.value)), None)
        if kept is None:
            return None
        value, ballot = kept, Ballot(panel)
        ballot.compare(kept)
    same = next((v for v in voices if _exact(v.value) == _exact(value)), None)
    layout = same or panel[0]
    text = _written(value, read[layout.draft][1], verbatim=same is not None)
    if all(_FENCED.fullmatch(drafts[voice.draft].text[:LONGEST]) for voice in panel):
        text = f"```json\n{text}\n```"
    return ballot.fused(text, None if same is None else same.draft)


class Ballot:
    """The votes of one panel, place by place.

    Parameters
    ----------
    panel : sequence of Voice
        Every draft that takes part, at the top of its answer.
    """

    def __init__(self, panel: Voices) -> None:
        self.total = math.fsum(voice.weight for voice in panel)
        self.panel = panel
        self.behind: dict[str, Voices] = {}
        self.against: list[float] = []

    def fused(self, text: str, draft: int | None) -> Fused:
        """The outcome, with `text` as its words."""
        shares = {place: self._share(voices) for place, voices in self.behind.items()}
        origins = {p: tuple(sorted(v.draft for v in voices)) for p, voices in self.behind.items()}
        least = min([*shares.values(), *self.against], default=1.0)
        return Fused(text=text, draft=draft, provenance=origins, confidence=shares, least=least)

    def merge(self, place: str, voices: Voices, schema: Schema) -> Json:
        """The value at `place`, by the votes of those who say anything there."""
        voices = _elected(voices, lambda voice: _kind(voice.value))
        kind = _kind(voices[0].value)
        if kind == "object":
            return self._object(place, voices, schema)
        if kind == "array":
            return self._array(place, voices, schema)
        return self._whole(place, voices)

    def compare(self, value: Json) -> None:
        """Note who of the panel says what `value`, which was decided otherwise, says."""
        places = [
            (voice, {p: _key(leaf) for p, leaf in _leaves(voice.value)}) for voice in self.panel
        ]
        for place, leaf in _leaves(value):
            key = _key(leaf)
            self.behind[place] = [voice for voice, said in places if said.get(place) == key]

    def _share(self, voices: Iterable[Voice]) -> float:
        return min(math.fsum(voice.weight for voice in voices) / self.total, 1.0)

    def _whole(self, place: str, voices: Voices) -> Json:
        """The value that wins as it stands, in its most trusted draft's spelling."""
        winners = _elected(voices, lambda voice: _key(voice.value))
        value = winners[0].value
        for inner, _ in _leaves(value):
            self.behind[place + inner] = winners
        return value

    def _object(self, place: str, voices: Voices, schema: Schema) -> Json:
        said = {voice.draft: voice.value for voice in voices}
        merged: dict[str, Json] = {}
        for name in _names(voices):
            having = [v.saying(o[name]) for v in voices if name in (o := _as_object(said[v.draft]))]
            if name in schema.required or self._kept(having, voices):
                merged[name] = self.merge(f"{place}/{_escaped(name)}", having, schema.field(name))
            else:
                self.against.append(self._share(_without(having, voices)))
        if not merged:
            self.behind[place] = voices
        return merged

    def _kept(self, having: Voices, voices: Voices) -> bool:
        """Whether what some have is in: most of the weight decides, then the most trusted."""
        ours, theirs = _weight(having), _weight(_without(having, voices))
        return ours > theirs or (ours == theirs and having[0].draft == voices[0].draft)

    def _array(self, place: str, voices: Voices, schema: Schema) -> Json:
        items = [item for voice in voices for item in _as_array(voice.value)]
        if items and all(isinstance(item, dict) for item in items):
            named = _key_field(voices)
            if named is not None:
                return self._by_key(place, voices, schema=schema, key=_keyed_by(named))
            return self._by_position(place, voices, schema)
        if not items or any(isinstance(item, dict | list) for item in items):
            return self._whole(place, voices)
        return self._scalars(place, voices, schema)

    def _scalars(self, place: str, voices: Voices, schema: Schema) -> Json:
        """Numbers of one length by position, what is short or repeats whole, else as a set."""
        arrays = [_as_array(voice.value) for voice in voices]
        even = len({len(array) for array in arrays}) == 1
        if even and len(arrays[0]) > SHORT and all(_numeric(item) for a in arrays for item in a):
            return self._by_position(place, voices, schema)
        repeats = any(len({_key(item) for item in array}) < len(array) for array in arrays)
        if repeats or (even and len(arrays[0]) <= SHORT):
            return self._whole(place, voices)
        return self._by_key(place, voices, schema=schema, key=_key)

    def _by_position(self, place: str, voices: Voices, schema: Schema) -> Json:
        voices = _elected(voices, lambda voice: len(_as_array(voice.value)))
        if not voices[0].value:
            self.behind[place] = voices
        columns = zip(*(_as_array(voice.value) for voice in voices), strict=True)
        merged: list[Json] = []
        for number, column in enumerate(columns):
            here = [v.saying(item) for v, item in zip(voices, column, strict=True)]
            merged.append(self.merge(f"{place}/{number}", here, schema.item))
        return merged

    def _by_key(
        self, place: str, voices: Voices, *, schema: Schema, key: Callable[[Json], str]
    ) -> Json:
        """Items that most of the weight has, in the order of the most trusted draft."""
        having: dict[str, list[Voice]] = {}
        for voice in voices:
            for item in _as_array(voice.value):
                having.setdefault(key(item), []).append(voice.saying(item))
        kept = [here for here in having.values() if self._kept(here, voices)]
        # Where no item has a majority the drafts differ altogether, and one of them speaks.
        if not kept:
            return self._whole(place, voices)
        dropped = [here for here in having.values() if not self._kept(here, voices)]
        self.against += [self._share(_without(here, voices)) for here in dropped]
        return [self.merge(f"{place}/{n}", here, schema.item) for n, here in enumerate(kept)]


# ------------------------------------------------------------------ reading and writing


def _read(text: str) -> tuple[Json, str] | None:
    """The JSON in a draft and its text, or ``None`` where there is none that can be fused."""
    if len(text) > LONGEST:
        return None
    fenced = _FENCED.fullmatch(text)
    body = (fenced[1] if fenced else text).strip()
    value = _loaded(body)
    found = (value, body) if isinstance(value, dict | list) else structured.find(text)
    return found if found is not None and _sound(found[0]) else None


def _loaded(text: str) -> Json:
    """The value of JSON text, ``None`` where it is not JSON."""
    try:
        loaded: Json = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return loaded


def _refuse(constant: str) -> Json:
    raise ValueError(f"{constant} is no JSON")


def _sound(value: Json) -> bool:
    """Whether every number is finite and nothing lies too deep to follow."""
    waiting: list[tuple[Json, int]] = [(value, 1)]
    while waiting:
        item, depth = waiting.pop()
        if depth > DEEPEST or (isinstance(item, float) and not math.isfinite(item)):
            return False
        inner = item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
        waiting.extend((entry, depth + 1) for entry in inner)
    return True


def _written(value: Json, span: str, *, verbatim: bool) -> str:
    """`value` as text, laid out as `span` is; `span` itself where it says just that."""
    if verbatim and _loaded(span) is not None and _encodable(span):
        return span
    indent = _INDENT.search(span)
    tight = indent is None and _TIGHT.search(span) is not None
    layout = {
        "indent": indent[1] if indent else None,
        "separators": (",", ":") if tight else (",", ": ") if indent else (", ", ": "),
    }
    text = json.dumps(value, ensure_ascii=False, **layout)  # type: ignore[arg-type]
    return text if _encodable(text) else json.dumps(value, **layout)  # type: ignore[arg-type]


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


# ------------------------------------------------------------------ lining up


def _of_one_schema(voices: Voices) -> Voices:
    """The drafts that share one schema, where they are most of the weight; else none."""
    panels = [[w for w in voices if _alike(v.value, w.value)] for v in voices]
    best = max(panels, key=_weight, default=[])
    return best if _weight(best) * 2 > _weight(voices) else []


def _alike(one: Json, other: Json) -> bool:
    if isinstance(one, list) and isinstance(other, list):
        return not one or not other or _alike(one[0], other[0])
    if isinstance(one, dict) and isinstance(other, dict):
        return len(one.keys() & other.keys()) >= OVERLAP * min(len(one), len(other))
    return _kind(one) == _kind(other)


def _key_field(voices: Voices) -> str | None:
    """The field by which the objects of several arrays are told apart, if one is evident."""
    arrays = [[_as_object(item) for item in _as_array(v.value)] for v in voices if v.value]
    first = arrays[0][0]
    names = sorted((n for n in first if _rank(n) is not None), key=lambda n: _rank(n) or 0)
    return next((name for name in names if _tells_apart(name, arrays)), None)


def _rank(name: str) -> int | None:
    folded = name.casefold()
    if folded in KEYS:
        return KEYS.index(folded)
    return len(KEYS) if name.endswith(("_id", "Id", "ID")) else None


def _tells_apart(name: str, arrays: Sequence[Sequence[dict[str, Json]]]) -> bool:
    seen: set[str] = set()
    total = 0
    for items in arrays:
        values = [item.get(name) for item in items]
        keys = {_key(value) for value in values}
        if len(keys) < len(items) or not all(isinstance(v, str | int) for v in values):
            return False
        seen |= keys
        total += len(keys)
    # Names that no two drafts share line nothing up.
    return len(arrays) == 1 or len(seen) < total


def _keyed_by(name: str) -> Callable[[Json], str]:
    return lambda item: _key(_as_object(item)[name])


def _names(voices: Voices) -> dict[str, None]:
    return {name: None for voice in voices for name in _as_object(voice.value)}


# ------------------------------------------------------------------ values


def _elected(voices: Voices, key: Callable[[Voice], object]) -> Voices:
    """The voices whose key has the most weight; the most trusted draft's among equals."""
    groups: dict[object, list[Voice]] = {}
    for voice in voices:
        groups.setdefault(key(voice), []).append(voice)
    return max(groups.values(), key=_weight)


def _without(having: Voices, voices: Voices) -> Voices:
    drafts = {voice.draft for voice in having}
    return [voice for voice in voices if voice.draft not in drafts]


def _weight(voices: Voices) -> float:
    return math.fsum(voice.weight for voice in voices)


def _finite(weight: float) -> float:
    return min(weight, 1e9) if weight == weight else FLOOR  # noqa: PLR0124 - NaN is not itself


def _kind(value: Json) -> Kind:
    return "object" if isinstance(value, dict) else "array" if isinstance(value, list) else "scalar"


def _numeric(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _as_object(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}


def _as_array(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _key(value: Json) -> str:
    """One text for values that mean the same: 1 and 1.0, "Paris" and " paris", two dates."""
    return json.dumps(_folded(value), sort_keys=True)


def _folded(value: Json) -> Json:
    if isinstance(value, dict):
        return {name: _folded(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_folded(item) for item in value]
    if isinstance(value, float):
        return int(value) if value.is_integer() else float(f"{value:.12g}")
    if isinstance(value, str):
        bare = value.strip()
        found = dates(bare) if len(bare) <= _LONGEST_DATE and ":" not in bare else []
        return (
            found[0].key if found and found[0].span == bare else " ".join(bare.split()).casefold()
        )
    return value


def _exact(value: Json) -> str:
    return json.dumps(value, sort_keys=True)


def _leaves(value: Json) -> Iterator[tuple[str, Json]]:
    """Every scalar and empty container within `value`, with its JSON pointer."""
    if isinstance(value, dict) and value:
        for name, item in value.items():
            yield from ((f"/{_escaped(name)}{place}", leaf) for place, leaf in _leaves(item))
    elif isinstance(value, list) and value:
        for number, item in enumerate(value):
            yield from ((f"/{number}{place}", leaf) for place, leaf in _leaves(item))
    else:
        yield "", value


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
