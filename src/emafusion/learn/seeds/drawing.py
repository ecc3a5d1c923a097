"""Draws questions from seeds: who is next, which filling and wording, and what is kept.

Knows turns, duplicates, labels and provenance. How fillings are drawn, prompts framed and
difficulties graded its siblings know.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from msgspec import Struct

from emafusion.answers.structured import Json
from emafusion.errors import DataError
from emafusion.evaluate.questions import AXES, Question
from emafusion.learn.families import Split, split_of_item
from emafusion.learn.seeds import coverage, frames
from emafusion.learn.seeds.coverage import Leaks
from emafusion.learn.seeds.difficulty import COMPLEXITY, grade
from emafusion.learn.seeds.duplicates import Seen
from emafusion.learn.seeds.filling import Filling, fillings
from emafusion.learn.seeds.seed import FamilySeed, Seed, Wording
from emafusion.types import Labels

if TYPE_CHECKING:
    from emafusion.learn.seeds.reading import Source

ReadAll = Callable[[Sequence[str]], Sequence[Labels]]
"""Reads the labels off bare texts, as :meth:`emafusion.understand.FastClassifier.read_all`."""

_MOST: Final = 2.0
"""A seed gives at most this many times its share, however early the others run out."""
_MISSED: Final = 60
"""Duplicates in a row after which a seed has nothing new to give."""
_READ: Final = 16
"""Prompts of a seed that the classifier reads for the labels it does not state."""
_DRAWS: Final = 400
_ORDER: Final[tuple[Split, ...]] = ("test", "val", "train")
# Built-in families say how to reply in their own words; what only surrounds a prompt is safe.
_FOR_FAMILIES: Final = ("register", "surroundings", "distractor", "language")


class Report(Struct, frozen=True, kw_only=True):
    """What was drawn.

    ``wanted`` and ``made`` count questions; ``seeds``, ``variations`` and ``difficulty`` count them
    by seed, by variation (``as worded`` for none) and by level. ``short`` maps a seed that ran out
    to how many of its share are lacking. ``duplicates`` were drawn and dropped. ``guessed`` are the
    labels a classifier gave, by seed. ``shared`` are wordings of the test split that other splits
    use too.
    """

    wanted: int
    made: int
    seeds: dict[str, int]
    variations: dict[str, int]
    difficulty: dict[int, int]
    short: dict[str, int]
    duplicates: int
    guessed: dict[str, dict[str, str]]
    shared: tuple[str, ...]
    leaks: Leaks


@dataclass(slots=True)
class _Turn:
    """One seed's place in a split: its questions, its share, and how many it gave."""

    source: Iterator[Question]
    share: float
    most: int
    given: int = 0


@dataclass(slots=True)
class _Kept:
    """The questions that were kept so far, of all splits."""

    seen: Seen = field(default_factory=Seen)
    count: int = 0
    duplicates: int = 0

    def take(self, question: Question) -> bool:
        """Whether `question` is new; it is remembered then."""
        if self.seen.find(question.prompt) is not None:
            self.duplicates += 1
            return False
        self.seen.add(question.prompt, self.count)
        self.count += 1
        return True


def draw(
    sources: Sequence[Source],
    sizes: Mapping[Split, int],
    *,
    seed: int,
    classifier: ReadAll | None = None,
) -> tuple[dict[Split, list[Question]], Report]:
    """Questions of each split, the same ones for the same arguments.

    Any prefix of a split keeps the seeds' shares. Where the seeds run out there are fewer than
    asked for; the report says which.

    Parameters
    ----------
    sources
        Seeds and families.
    sizes
        How many questions each split is to have.
    seed
        What they are drawn from.
    classifier
        Gives the labels that a seed does not state.

    Raises
    ------
    DataError
        A seed cannot be filled, lacks values that a generator was to supply, or lacks a label
        and there is no classifier.
    """
    _check_filled(sources)
    guessed = _guessed(sources, classifier)
    labels = {one.name: _labels(one, guessed.get(one.name, {})) for one in sources}
    shares = coverage.shares({one.name: one.weight for one in sources}, labels)
    kept = _Kept()
    questions: dict[Split, list[Question]] = {}
    short: Counter[str] = Counter()
    for split in (each for each in _ORDER if each in sizes):
        turns = {
            one.name: _Turn(
                source=_questions(one, split, labels[one.name], seed=seed),
                share=shares[one.name],
                most=math.ceil(_MOST * shares[one.name] * sizes[split]),
            )
            for one in sources
        }
        questions[split] = _drawn(turns, sizes[split], kept)
        for name, turn in turns.items():
            short[name] += max(0, math.floor(turn.share * sizes[split]) - turn.given)
    ordered = {split: questions[split] for split in sizes}
    return ordered, _report(ordered, kept, wanted=sum(sizes.values()), short=short, guessed=guessed)


def _check_filled(sources: Sequence[Source]) -> None:
    for source in sources:
        slots = source.hungry() if isinstance(source, Seed) else {}
        for name, slot in slots.items():
            if not slot.size:
                raise DataError(
                    f"{source.source!r}, seed {source.name!r}: slot {name!r} has no values; have a "
                    "model supply them (--generator), or write some beside generate"
                )


def _drawn(turns: Mapping[str, _Turn], size: int, kept: _Kept) -> list[Question]:
    """`size` questions, each time from the seed that is furthest behind its share."""
    live = dict(turns)
    drawn: list[Question] = []
    while live and len(drawn) < size:
        name = min(live, key=lambda each: ((live[each].given + 1) / live[each].share, each))
        question = _fresh(live[name].source, kept) if live[name].given < live[name].most else None
        if question is None:
            del live[name]
            continue
        live[name].given += 1
        drawn.append(question)
    return drawn


def _fresh(source: Iterator[Question], kept: _Kept) -> Question | None:
    for _, question in zip(range(_MISSED), source, strict=False):
        if kept.take(question):
            return question
    return None


def _questions(
    source: Source, split: Split, labels: Mapping[str, str], *, seed: int
) -> Iterator[Question]:
    rng = random.Random(f"{seed}/{split}/{source.name}")
    if isinstance(source, FamilySeed):
        return _of_family(source, split, rng)
    return _of_seed(source, split, labels, rng=rng)


def _of_seed(
    seed: Seed, split: Split, labels: Mapping[str, str], *, rng: random.Random
) -> Iterator[Question]:
    wordings = seed.wordings_of(split)
    places = {wording.id: place for place, wording in enumerate(seed.wordings)}
    start = rng.getrandbits(64)
    # Wordings take turns, so that none is left out. Where the fillings run out, each comes again
    # in the wording that follows.
    with _naming(seed):
        for turn, filling in _turns(seed, split, start, again=len(wordings)):
            wording = wordings[turn % len(wordings)]
            question = _worded(seed, wording, filling, split=split, rng=rng)
            yield replace(
                question,
                labels={"complexity": COMPLEXITY[question.difficulty], **labels},
                phrasing=places[wording.id],
                held_out=split == "test",
            )


def _turns(seed: Seed, split: Split, start: int, *, again: int) -> Iterator[tuple[int, Filling]]:
    """The fillings `again` times over, each time one turn further."""
    for turned in range(again):
        for turn, filling in enumerate(fillings(seed, split, random.Random(start))):
            yield turn + turned, filling


@contextmanager
def _naming(seed: Seed) -> Iterator[None]:
    """Say of what is wrong in which seed of which file it is."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{seed.source!r}, seed {seed.name!r}: {error}") from error


def _worded(
    seed: Seed, wording: Wording, filling: Filling, *, split: Split, rng: random.Random
) -> Question:
    reference, grader = seed.answered(filling.scope)
    framed = frames.compose(seed, wording, filling.scope, split=split, rng=rng)
    level = grade(
        seed, framed.prompt, grader, stated=seed.level(filling.scope), harder=framed.harder
    )
    return Question(
        prompt=framed.prompt,
        reference=reference,
        grader=grader,
        labels={},
        family=seed.name,
        phrasing=0,
        held_out=False,
        difficulty=level,
        provenance={
            "file": seed.source,
            "seed": seed.name,
            "wording": wording.id,
            "values": dict(filling.values),
            "variations": list(framed.variations),
            "generator": wording.generator,
            "item": filling.digest[:16],
            "rows": list(filling.rows),
        },
    )


def _of_family(source: FamilySeed, split: Split, rng: random.Random) -> Iterator[Question]:
    """A family's questions, framed; the family decides their splits and wordings itself."""
    family, seen = source.family, set[str]()
    first = 0 if split != "test" else len(family.wordings)
    count = len(family.held_out) if split == "test" else len(family.wordings)
    turn = missed = 0
    while missed < _DRAWS:
        level = family.levels[turn % len(family.levels)]
        turn += 1
        item = family.draw(rng, level)
        if split_of_item(family.name, item) != split or item.digest in seen:
            missed += 1
            continue
        seen.add(item.digest)
        missed = 0
        question = family.question(item, level, first + rng.randrange(count))
        framed = frames.surround(
            question.prompt,
            kinds=frames.drawn_kinds(_FOR_FAMILIES, rng),
            grader=question.grader.type,
            split=split,
            rng=rng,
        )
        provenance: dict[str, Json] = {
            "file": source.source,
            "seed": source.name,
            "family": family.name,
            "wording": str(question.phrasing),
            "variations": list(framed.variations),
            "generator": None,
            "item": item.digest[:16],
        }
        yield replace(question, prompt=framed.prompt, family=source.name, provenance=provenance)


def _labels(source: Source, guessed: Mapping[str, str]) -> dict[str, str]:
    given = source.family.labels if isinstance(source, FamilySeed) else source.labels
    return {**guessed, **given}


def _guessed(sources: Sequence[Source], classifier: ReadAll | None) -> dict[str, dict[str, str]]:
    """The labels that each seed lacks, from the classifier's mean over some of its prompts."""
    found = {}
    for source in sources:
        if isinstance(source, FamilySeed):
            continue
        missing = [axis for axis in AXES if axis not in source.labels]
        if classifier is None:
            missing = [axis for axis in missing if axis != "complexity"]
        if not missing:
            continue
        if classifier is None:
            raise DataError(
                f"{source.source!r}, seed {source.name!r}: it states no {missing[0]}; add it to "
                "its labels, or draw with a classifier"
            )
        read = classifier(_plain_prompts(source))
        found[source.name] = {axis: _likeliest(read, axis) for axis in missing}
    return found


def _plain_prompts(seed: Seed) -> list[str]:
    """Some of the seed's prompts as it words them; a bare wording where nothing fills it."""
    rng = random.Random(f"labels/{seed.name}")
    plain = replace(seed, variations=frozenset())
    wording = seed.wordings[0]
    with _naming(seed):
        # A seed of a few fillings may have none in train.
        for split in reversed(_ORDER):
            prompts = [
                frames.compose(plain, wording, filling.scope, split=split, rng=rng).prompt
                for _, filling in zip(range(_READ), fillings(seed, split, rng), strict=False)
            ]
            if prompts:
                return prompts
    return [wording.text]


def _likeliest(read: Sequence[Labels], axis: str) -> str:
    names = list(read[0].axes[axis])
    chances = np.array([[one.axes[axis][name] for name in names] for one in read])
    return names[int(chances.mean(axis=0).argmax())]


def _report(
    questions: Mapping[Split, Sequence[Question]],
    kept: _Kept,
    *,
    wanted: int,
    short: Counter[str],
    guessed: dict[str, dict[str, str]],
) -> Report:
    everything = [question for part in questions.values() for question in part]
    variations: Counter[str] = Counter()
    for question in everything:
        done = question.provenance["variations"]
        named = [str(each) for each in done] if isinstance(done, list) else []
        variations.update(named or ["as worded"])
    return Report(
        wanted=wanted,
        made=len(everything),
        seeds=dict(Counter(question.family for question in everything).most_common()),
        variations=dict(variations.most_common()),
        difficulty=dict(sorted(Counter(int(q.difficulty) for q in everything).items())),
        short={name: lacking for name, lacking in short.items() if lacking},
        duplicates=kept.duplicates,
        guessed=guessed,
        shared=coverage.shared_wordings(questions),
        leaks=coverage.leaks(questions),
    )
