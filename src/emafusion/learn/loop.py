"""Seeds in, a fitted, measured and promoted policy out: the whole of learning, step by step.

Knows the order of the steps and where each leaves its files; how a step is done, others know.
Every step finds what an earlier run left and goes on from there, so the loop may be killed and run
again: no answer is paid for twice, and what serves stays whole.

::

    questions/    queries.parquet            what was drawn from the seeds
    outcomes/     journal.jsonl, tables      what the models answered, and the marks
                  judges/journal.jsonl       what judges said of answers that have no mark
    traffic/      tables                     decisions on record, where they are learnt from too
    policies/     versions, current          what was fitted, and which of it serves
    report.json                              what the last run did
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from emafusion.artefacts import Artefact, Versions
from emafusion.artefacts.lock import held
from emafusion.errors import ConfigError, DataError, StoreError
from emafusion.evaluate import files
from emafusion.evaluate.questions import Question
from emafusion.evaluate.recorded import Recorded, joined, read
from emafusion.evaluate.threads import one_thread
from emafusion.learn import interchange, traffic
from emafusion.learn.bounds import Bounds
from emafusion.learn.collect import Progress, Report, collect
from emafusion.learn.collection import spent_of
from emafusion.learn.compare import HeldOut, Setup
from emafusion.learn.crossing import stand_ins
from emafusion.learn.families import Split
from emafusion.learn.fit.policy import learn, prepare
from emafusion.learn.journal import Journal
from emafusion.learn.label import Labels
from emafusion.learn.labelling import Opinions, opinions_in
from emafusion.learn.labelling.tournament import Told, ask, spent
from emafusion.learn.labelling.unmarked import labelled, posed
from emafusion.learn.promote import Promotion, consider
from emafusion.learn.seeds import Source
from emafusion.learn.synthesise import Synthesis, from_seeds
from emafusion.learn.traffic import Diary, Exported
from emafusion.protocols import Provider
from emafusion.types import Model
from emafusion.understand import FastClassifier

QUESTIONS, OUTCOMES, TRAFFIC, POLICIES = "questions", "outcomes", "traffic", "policies"
REPORT = "report.json"
HELD_OUT = 60
"""Held-out questions to aim at: with fewer than fifty nothing is concluded."""
MOST_HELD_OUT = 0.42
"""Their share at most: fifty of a hundred and twenty."""
JUDGES_SHARE = 0.2
"""Of the budget, what is kept for judges where questions have no grader."""
ENOUGH_HELD_OUT = 400
"""With so many, a difference that matters shows on them alone."""
LOCK = "lock"


class Course(Struct, frozen=True, kw_only=True):
    """What is asked of the loop.

    ``count`` questions are drawn with ``seed``; ``bounds`` say what asking may cost, ``labels`` who
    says what a good answer is. A better policy gets the share ``canary``, in (0, 1), of the
    requests at first, or all of them.
    """

    count: int = 200
    seed: int = 1
    bounds: Bounds = Bounds()
    labels: Labels = "reference"
    canary: float | None = None

    def __post_init__(self) -> None:
        if self.canary is not None and not 0.0 < self.canary < 1.0:
            raise ConfigError(f"a canary's share must lie between 0 and 1, not at {self.canary!r}")


class Parts(Struct, frozen=True, kw_only=True):
    """What the loop works with.

    ``classifier`` reads prompts as it will serve; ``default`` is the policy that serves where none
    was promoted, ``setup`` how policies are compared, ``diary`` a record to learn from too;
    ``stale`` says of models that have changed since when their answers there are their own.
    ``judges`` are models that compare answers which nothing else can mark.
    """

    models: Sequence[Model]
    providers: Mapping[str, Provider]
    classifier: FastClassifier
    default: Artefact
    setup: Setup
    diary: Diary | None = None
    stale: Mapping[str, float] = {}
    judges: Sequence[Model] = ()


class Watcher(Struct, frozen=True, kw_only=True):
    """Who is told how it goes.

    ``step`` is told each step's name, ``cell`` each answer as it comes, ``note`` what the user may
    want to change before money is spent.
    """

    step: Callable[[str], None] = lambda _: None
    cell: Callable[[Progress], None] = lambda _: None
    note: Callable[[str], None] = lambda _: None


class Learned(Struct, frozen=True, kw_only=True):
    """What a run of the loop did; ``seconds`` by step.

    ``label_noise`` is the expected share of wrong labels among those that consensus and judges
    gave; ``judged`` is what asking judges came to, where any were.
    """

    questions: Mapping[str, int]
    collected: Report
    judged: Told | None
    traffic: Exported | None
    fitted_on: int
    label_noise: float
    promotion: Promotion
    seconds: Mapping[str, float]


async def run(
    folder: Path,
    sources: Sequence[Source],
    *,
    parts: Parts,
    course: Course | None = None,
    watcher: Watcher | None = None,
) -> Learned:
    """Draw questions, ask the models, fit, compare with what serves, and promote what is better.

    Parameters
    ----------
    folder : Path
        The loop's own; made if it is not there.
    sources : sequence of Source
        What :func:`emafusion.learn.seeds.read` gives; may be empty where the folder holds
        questions already.
    parts : Parts
    course : Course, optional
    watcher : Watcher, optional

    Raises
    ------
    StoreError
        Another run is at work in `folder`, or a file cannot be written.
    DataError
        A seed is malformed, or there is too little to learn from.
    ConfigError
        A model's provider is missing, or a bound makes no sense.
    """
    course, watcher = course or Course(), watcher or Watcher()
    with _alone(folder):
        steps = _Steps(watcher)
        steps.begin("drawing questions")
        counts = await asyncio.to_thread(_drawn, folder, sources, parts=parts, course=course)
        _warn(counts, parts, watcher)
        steps.begin("asking the models")
        collected = await _collected(folder, parts=parts, course=course, watcher=watcher)
        exported = None
        if parts.diary is not None:
            steps.begin("reading the record")
            exported = await traffic.export(
                parts.diary, folder / TRAFFIC, parts.models, stale=parts.stale
            )
        recorded = await asyncio.to_thread(_recorded, folder, exported)
        judged = None
        if parts.judges:
            steps.begin("asking judges")
            judged = await _judged(folder, recorded, parts=parts, course=course, watcher=watcher)
        steps.begin("fitting")
        opinions = await asyncio.to_thread(opinions_in, folder / OUTCOMES, recorded)
        artefact = await asyncio.to_thread(_fitted, recorded, opinions, parts, course=course)
        steps.begin("comparing with what serves")
        promotion = await asyncio.to_thread(
            _promoted, folder, artefact, recorded, opinions=opinions, parts=parts, course=course
        )
        found = Learned(
            questions=counts,
            collected=collected,
            judged=judged,
            traffic=exported,
            fitted_on=artefact.manifest.queries,
            label_noise=float(artefact.manifest.metrics.get("label_noise", 0.0)),
            promotion=promotion,
            seconds=steps.end(),
        )
        await asyncio.to_thread(_told, folder, found)
    return found


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """The loop's folder, made if need be, with no other run at work in it."""
    with ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(held(folder / LOCK, wait_s=0.0))
        except StoreError as error:
            raise StoreError(
                f"another learn run is at work in {str(folder)!r}; wait for it, or name another "
                "folder"
            ) from error
        except OSError as error:
            raise StoreError(
                f"cannot write {str(folder)!r}: {error.strerror or error}; check its place and "
                "rights"
            ) from error
        yield


class _Steps:
    """Names each step as it begins, and times it."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._seconds: dict[str, float] = {}
        self._now: tuple[str, float] | None = None

    def begin(self, name: str) -> None:
        self.end()
        self._watcher.step(name)
        self._now = name, time.monotonic()

    def end(self) -> Mapping[str, float]:
        if self._now is not None:
            name, began = self._now
            self._seconds[name] = round(time.monotonic() - began, 2)
            self._now = None
        return self._seconds


def _drawn(
    folder: Path, sources: Sequence[Source], *, parts: Parts, course: Course
) -> Mapping[str, int]:
    """How many questions each split has; those of `sources` join what is there first."""
    place = folder / QUESTIONS
    there = (place / "queries.parquet").exists()
    if sources:
        found = from_seeds(
            sources,
            course.count,
            seed=course.seed,
            classifier=parts.classifier.read_all,
            shares=_shares(course.count),
        )
        _join(place, found, there=there)
    elif not there:
        raise DataError(
            f"{str(folder)!r} holds no questions yet: name the seed files to draw them from"
        )
    return {split: len(part) for split, part in interchange.read_questions(place).items()}


def _join(place: Path, found: Synthesis, *, there: bool) -> None:
    """Add to the questions in `place` those it does not have; one it has keeps its split."""
    if not any(found.questions.values()):
        raise DataError(
            "nothing could be drawn from the seeds: their conditions leave no filling, or their "
            "slots too few values"
        )
    held = interchange.read_questions(place) if there else {}
    known = {question.id for part in held.values() for question in part}
    union: dict[Split, list[Question]] = {split: list(part) for split, part in held.items()}
    for split, part in found.questions.items():
        new = [question for question in part if question.id not in known]
        union.setdefault(split, []).extend(new)
    if sum(map(len, union.values())) > len(known):
        Synthesis(questions=union).write(place)


def _warn(counts: Mapping[str, int], parts: Parts, watcher: Watcher) -> None:
    """Say, before anything is paid for, where there is too little to compare policies on."""
    held_out, fewest = counts.get("test", 0), parts.setup.rule.fewest
    if held_out >= fewest:
        return
    unless = "" if parts.diary is None else " unless the record brings more"
    enough = math.ceil(fewest / MOST_HELD_OUT)
    watcher.note(
        f"this run will promote nothing{unless}: {held_out} questions are held out, and of fewer "
        f"than {fewest} nothing is concluded; draw {enough} or more, from further seeds where "
        "these run out"
    )


def _shares(count: int) -> Mapping[Split, float]:
    """Enough held-out questions to tell two policies apart, as far as :data:`MOST_HELD_OUT`."""
    test = min(max(HELD_OUT / count, 0.2), MOST_HELD_OUT)
    return {"train": (1.0 - test) * 0.8, "val": (1.0 - test) * 0.2, "test": test}


async def _collected(folder: Path, *, parts: Parts, course: Course, watcher: Watcher) -> Report:
    questions = interchange.read_questions(folder / QUESTIONS)
    bounds = course.bounds
    if parts.judges and bounds.budget_usd is not None:
        unmarked = any(q.grader.type == "judged" for part in questions.values() for q in part)
        kept = bounds.budget_usd * JUDGES_SHARE * (unmarked or course.labels == "consensus")
        left = bounds.budget_usd - max(kept, spent(folder / OUTCOMES))
        bounds = replace(bounds, budget_usd=max(left, 0.0))
    return await collect(
        questions,
        parts.models,
        providers=parts.providers,
        folder=folder / OUTCOMES,
        bounds=bounds,
        progress=watcher.cell,
    )


async def _judged(
    folder: Path, recorded: Recorded, *, parts: Parts, course: Course, watcher: Watcher
) -> Told:
    """Have judges compare the answers that nothing marks, with the money that is left."""
    parted = interchange.read_questions(folder / QUESTIONS).values()
    questions = [question for part in parted for question in part]
    due = await asyncio.to_thread(posed, recorded, questions, labels=course.labels)
    bounds = course.bounds
    if bounds.budget_usd is not None:
        left = bounds.budget_usd - await asyncio.to_thread(_paid, folder / OUTCOMES)
        bounds = replace(bounds, budget_usd=max(left, 0.0))
    return await ask(
        folder / OUTCOMES,
        due,
        judges=parts.judges,
        providers=parts.providers,
        bounds=bounds,
        progress=watcher.cell,
    )


def _paid(folder: Path) -> float:
    """What the answers in `folder` have cost, calls of unknown ending included, US dollars."""
    with Journal(folder) as journal:
        return spent_of(journal.rows())


def _recorded(folder: Path, exported: Exported | None) -> Recorded:
    """What was collected, and what the record adds to it."""
    recorded = read(folder / OUTCOMES)
    if exported is None or not exported.drafts:
        return recorded
    return joined(recorded, read(folder / TRAFFIC))


def _fitted(recorded: Recorded, opinions: Opinions, parts: Parts, *, course: Course) -> Artefact:
    classifier = parts.classifier
    with one_thread():
        material = prepare(
            recorded.where(("train", "val")),
            classifier=classifier,
            encoder=classifier.encoder,
            seed=course.seed,
            labels=course.labels,
            opinions=opinions,
        )
        return learn(material).artefact


def _promoted(
    folder: Path,
    artefact: Artefact,
    recorded: Recorded,
    *,
    opinions: Opinions,
    parts: Parts,
    course: Course,
) -> Promotion:
    versions = Versions(folder / POLICIES)
    # What nothing marks is compared by its labels; a fit labels what it is fitted on by itself.
    full = labelled(recorded, opinions)
    held_out = full.where(("test",))

    def others() -> Sequence[HeldOut]:
        if len(held_out.queries) >= ENOUGH_HELD_OUT:
            return ()
        fitted = recorded.where(("train", "val"))
        found = stand_ins(
            fitted, lambda rows: _fitted(rows, opinions, parts, course=course), seed=course.seed
        )
        places = {query: place for place, query in enumerate(full.queries)}
        return [
            replace(one, recorded=full.rows([places[query] for query in one.recorded.queries]))
            for one in found
        ]

    return consider(
        versions,
        versions.add(artefact),
        held_out=held_out,
        default=parts.default,
        setup=replace(parts.setup, stand_ins=others),
        canary=course.canary,
    )


def _told(folder: Path, found: Learned) -> None:
    told = msgspec.json.format(msgspec.json.encode(found), indent=1)
    files.write(folder / REPORT, told + b"\n")
