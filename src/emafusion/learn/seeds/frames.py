"""Variations that need no model: what stands around a prompt, in which order, with which slips.

Knows the frames (``frames.toml``) and how to apply them; a variation never touches a slot's value
or a text that is spoken of, so the right answer stays what it was.
"""

from __future__ import annotations

import functools
import importlib.resources
import random
import re
import tomllib
from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct

from emafusion.learn.families import Split
from emafusion.learn.seeds.expressions import Scope
from emafusion.learn.seeds.seed import Seed, Wording
from emafusion.learn.seeds.templates import SLOT, fill, names

KINDS: Final = (
    "register", "surroundings", "order", "distractor", "typos", "format", "language",
)  # fmt: skip
"""The kinds of variation, in no order: one prompt has at most one of each."""

_HOW_MANY: Final = (0, 0, 1, 1, 2)
"""How many kinds a prompt gets, drawn evenly: four in ten stay as they are worded."""
# From the innermost outwards.
_AROUND: Final = ("format", "register", "distractor", "language", "surroundings")
_PROMPT: Final = "{prompt}"
_CONTEXT: Final = "{context}"
_MARK: Final = "\ue000"
"""Keeps the context's place in a wording; no text that a person writes has this character."""
_PLAIN: Final = f"{_PROMPT}\n\n{_CONTEXT}"
_HARDER_TYPOS: Final = 0.25
_MOST_TYPOS: Final = 2
# Words that instruct; a slip in one of them leaves clear what is asked.
_INSTRUCTING: Final = re.compile(
    r"\b(?:please|following|answer|reply|classify|which|return|write|message|question|sentence"
    r"|customer|extract|translate|summarise|summarize|according|calculate|below|should|would)\b"
)
_ONLY: Final = re.compile(r"\b(?:only|just|one word|single|nothing else|bare)\b", re.I)


class Frame(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ways to surround a prompt; `graders` are those it suits, all where it names none."""

    name: str
    train: tuple[str, ...]
    held_out: tuple[str, ...]
    kind: str = "order"
    harder: float = 0.0
    graders: frozenset[str] = frozenset()

    def texts(self, split: Split) -> tuple[str, ...]:
        """The ways that a split may use."""
        return self.held_out if split == "test" else self.train


class Framed(Struct, frozen=True, kw_only=True):
    """A prompt as it is asked, what was done to it, and how much harder that makes it."""

    prompt: str
    variations: tuple[str, ...]
    harder: float


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    frame: tuple[Frame, ...]
    layout: tuple[Frame, ...]


@functools.cache
def shipped() -> tuple[tuple[Frame, ...], tuple[Frame, ...]]:
    """The frames around a prompt, and the layouts of a prompt with its context."""
    source = importlib.resources.files(__package__).joinpath("frames.toml")
    read = msgspec.convert(tomllib.loads(source.read_text(encoding="utf-8")), _File)
    return read.frame, read.layout


def compose(
    seed: Seed, wording: Wording, scope: Scope, *, split: Split, rng: random.Random
) -> Framed:
    """The prompt of one filling in one wording, varied as `rng` draws and the seed permits.

    Raises
    ------
    DataError
        A template cannot be filled.
    """
    kinds = _kinds(seed, wording, rng)
    done: list[str] = []
    harder = 0.0
    text = wording.text
    if "typos" in kinds:
        slipped = _misspelt(text, rng)
        if slipped != text:
            text, harder = slipped, harder + _HARDER_TYPOS
            done.append("typos")
    text = _with_clauses(text, seed.clauses, shuffled="order" in kinds, rng=rng)
    asked = fill(text, {**scope, "context": _MARK})
    framed = surround(asked, kinds=kinds, grader=str(seed.grader["type"]), split=split, rng=rng)
    prompt = framed.prompt
    if seed.context:
        name, layout = _layout(wording, split, shuffled="order" in kinds, rng=rng)
        done += [f"order/{name}"] if name else []
        prompt = _placed(prompt, asked, layout=layout, context=fill(seed.context, scope))
    return Framed(
        prompt=prompt.strip(),
        variations=(*done, *framed.variations),
        harder=harder + framed.harder,
    )


def surround(
    asked: str, *, kinds: frozenset[str], grader: str, split: Split, rng: random.Random
) -> Framed:
    """`asked` within a frame of each of the `kinds`, innermost first."""
    prompt, done, harder = asked, [], 0.0
    for kind in _AROUND:
        if kind not in kinds:
            continue
        fitting = [frame for frame in shipped()[0] if frame.kind == kind and _suits(frame, grader)]
        if kind == "format" and _ONLY.search(asked):
            # "Only the number" and "show your working" cannot both be obeyed.
            fitting = [frame for frame in fitting if frame.name != "reasoned"]
        if not fitting:
            continue
        frame = rng.choice(fitting)
        prompt = rng.choice(frame.texts(split)).replace(_PROMPT, prompt)
        done.append(f"{kind}/{frame.name}")
        harder += frame.harder
    return Framed(prompt=prompt, variations=tuple(done), harder=harder)


def drawn_kinds(permitted: Sequence[str], rng: random.Random) -> frozenset[str]:
    """None, one or two of the permitted kinds."""
    return frozenset(rng.sample(permitted, min(rng.choice(_HOW_MANY), len(permitted))))


def _kinds(seed: Seed, wording: Wording, rng: random.Random) -> frozenset[str]:
    permitted = [kind for kind in KINDS if kind in seed.variations]
    movable = len(seed.clauses) > 1 or (seed.context and "context" not in names(wording.text))
    if "order" in permitted and not movable:
        permitted.remove("order")
    return drawn_kinds(permitted, rng)


def _suits(frame: Frame, grader: str) -> bool:
    return not frame.graders or grader in frame.graders


def _with_clauses(text: str, clauses: Sequence[str], *, shuffled: bool, rng: random.Random) -> str:
    """`text` and its clauses, in the order given or in a drawn one, some of them before it."""
    if not clauses:
        return text
    ordered = list(clauses)
    before = 0
    if shuffled:
        rng.shuffle(ordered)
        before = rng.randrange(len(ordered) + 1)
    return " ".join([*ordered[:before], text, *ordered[before:]])


def _layout(
    wording: Wording, split: Split, *, shuffled: bool, rng: random.Random
) -> tuple[str, str]:
    """The name and the text of a layout; an empty text where the wording has a place for it."""
    if "context" in names(wording.text):
        return "", ""
    if not shuffled:
        return "", _PLAIN
    layout = rng.choice(shipped()[1])
    return layout.name, rng.choice(layout.texts(split))


def _placed(framed: str, asked: str, *, layout: str, context: str) -> str:
    """Put the context in its place, which no frame comes between."""
    if not layout:
        return framed.replace(_MARK, context)
    # What is put in may hold "{prompt}" itself: each place of the layout is replaced once.
    before, _, after = framed.partition(asked)
    body = "".join(
        {_PROMPT: asked, _CONTEXT: context}.get(part, part)
        for part in re.split(r"(\{prompt\}|\{context\})", layout)
    )
    return f"{before}{body}{after}"


def _misspelt(text: str, rng: random.Random) -> str:
    """One or two slips in instructing words of the template; slots are left alone."""
    slots = [found.span() for found in SLOT.finditer(text)]
    words = [
        found
        for found in _INSTRUCTING.finditer(text)
        if not any(start <= found.start() < end for start, end in slots)
    ]
    chosen = rng.sample(words, min(len(words), rng.randint(1, _MOST_TYPOS)))
    for found in sorted(chosen, key=lambda word: -word.start()):
        text = text[: found.start()] + _slip(found.group(), rng) + text[found.end() :]
    return text


def _slip(word: str, rng: random.Random) -> str:
    """Two neighbouring letters swapped, or one dropped; never the first."""
    place = rng.randrange(1, len(word) - 1)
    if rng.random() < 0.5:
        return word[:place] + word[place + 1] + word[place] + word[place + 2 :]
    return word[:place] + word[place + 1 :]
