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
from functools import partial
from pathlib import Path
from typing import Final

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
from emafusion.learn import interchange, served, traffic
from emafusion.learn.benchmark.rows import complete
from emafusion.learn.bootstrap import FEWEST_CLUSTERS
from emafusion.learn.bounds import Bounds
from emafusion.learn.collect import Progress, Report, collect
from emafusion.learn.collection import spent_of
from emafusion.learn.compare import HeldOut, Setup
from emafusion.learn.crossing import stand_ins
from emafusion.learn.families import Split
from emafusion.learn.fit.policy import learn, prepare
from emafusion.learn.journal import Journal
from emafusion.learn.kin import families, kin
from emafusion.learn.label import Labels
from emafusion.learn.labelling import Opinions, opinions_in
from emafusion.learn.labelling.tournament import Told, ask, spent
from emafusion.learn.labelling.unmarked import posed, voted
from emafusion.learn.masked import masked
from emafusion.learn.promote import KEPT, Promotion, consider
from emafusion.learn.seeds import Source
from emafusion.learn.synthesise import Synthesis, from_seeds
from emafusion.learn.traffic import Diary, Exported
from emafusion.protect.shield import Shield
from emafusion.protocols import Provider
from emafusion.types import Model
from emafusion.understand import FastClassifier

QUESTIONS: Final = "questions"
OUTCOMES: Final = "outcomes"
TRAFFIC: Final = "traffic"
POLICIES: Final = "policies"
REPORT: Final = "report.json"
HELD_OUT: Final = 60
"""Held-out questions to aim at: with fewer than fifty nothing is concluded."""
MOST_HELD_OUT: Final = 0.42
"""Their share at most: fifty of a hundred and twenty."""
JUDGES_SHARE: Final = 0.2
"""Of the budget, what is kept for judges where questions have no grader."""
ENOUGH_HELD_OUT: Final = 400
"""With so many, a difference that matters shows on them alone."""
LOCK: Final = "lock"


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
    ``stale`` says of models that have changed when their answers there were not those of now.
    ``judges`` are models that compare answers which nothing else can mark. What ``shield`` finds in
    questions is in no file and reaches no model.
    """

    models: Sequence[Model]
    providers: Mapping[str, Provider]
    classifier: FastClassifier
    default: Artefact
    setup: Setup
    diary: Diary | None = None
    stale: Mapping[str, Sequence[traffic.Span]] = {}
    judges: Sequence[Model] = ()
    shield: Shield | None = None


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
    gave; ``judged`` is what asking judges came to, where any were. ``served`` is what the record
    says of the new policy and the one that served before: it informs, and decides nothing.
    """

    questions: Mapping[str, int]
    collected: Report
    judged: Told | None
    traffic: Exported | None
    fitted_on: int
    label_noise: float
    promotion: Promotion
    served: served.Told | None
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

    `folder` is the loop's own, made if it is not there; `sources`, what
    :func:`emafusion.learn.seeds.read` gives, may be none where it holds questions already.

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
        counts = await _drawn(folder, sources, parts=parts, course=course)
        for doubt in await asyncio.to_thread(_doubts, folder, parts):
            watcher.note(doubt)
        steps.begin("asking the models")
        collected = await _collected(folder, parts=parts, course=course, watcher=watcher)
        exported = await _exported(folder, parts, steps)
        recorded = await asyncio.to_thread(_recorded, folder, exported)
        judged = None
        if parts.judges:
            steps.begin("asking judges")
            judged = await _judged(folder, parts=parts, course=course, watcher=watcher)
        steps.begin("fitting")
        who = (*parts.models, *parts.judges)
        opinions = await asyncio.to_thread(opinions_in, folder / OUTCOMES, recorded, models=who)
        artefact = await asyncio.to_thread(_fitted, recorded, opinions, parts, course=course)
        steps.begin("comparing with what serves")
        promotion = await asyncio.to_thread(
            _promoted, folder, artefact, recorded, opinions=opinions, parts=parts, course=course
        )
        told = await _served(folder, artefact, promotion, parts=parts, steps=steps)
        found = Learned(
            questions=counts,
            collected=collected,
            judged=judged,
            traffic=exported,
            fitted_on=artefact.manifest.queries,
            label_noise=float(artefact.manifest.metrics.get("label_noise", 0.0)),
            promotion=promotion,
            served=told,
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


async def _drawn(
    folder: Path, sources: Sequence[Source], *, parts: Parts, course: Course
) -> Mapping[str, int]:
    """How many questions each split has; those of `sources` join what is there first."""
    place = folder / QUESTIONS
    there = (place / "queries.parquet").exists()
    if not sources and not there:
        raise DataError(
            f"{str(folder)!r} holds no questions yet: name the seed files to draw them from"
        )
    new = await asyncio.to_thread(_new, sources, parts=parts, course=course) if sources else {}
    held = await asyncio.to_thread(interchange.read_questions, place) if there else {}
    known = {question.id for part in held.values() for question in part}
    # What was drawn before there was anything to mask is masked now.
    union = _joined(await masked(held, parts.shield), await masked(new, parts.shield))
    if {question.id for part in union.values() for question in part} != known:
        await asyncio.to_thread(Synthesis(questions=union).write, place)
    return {split: len(part) for split, part in union.items() if part}


def _new(
    sources: Sequence[Source], *, parts: Parts, course: Course
) -> Mapping[Split, Sequence[Question]]:
    found = from_seeds(
        sources,
        course.count,
        seed=course.seed,
        classifier=parts.classifier.read_all,
        shares=_shares(course.count),
    )
    if not any(found.questions.values()):
        raise DataError(
            "nothing could be drawn from the seeds: their conditions leave no filling, or their "
            "slots too few values"
        )
    return found.questions


def _joined(
    held: Mapping[Split, Sequence[Question]], new: Mapping[Split, Sequence[Question]]
) -> dict[Split, list[Question]]:
    """The questions that are `held`, and those of `new` besides; a held one keeps its split."""
    known = {question.id for part in held.values() for question in part}
    union: dict[Split, list[Question]] = {split: list(part) for split, part in held.items()}
    for split, part in new.items():
        union.setdefault(split, []).extend(one for one in part if one.id not in known)
    return union


def _doubts(folder: Path, parts: Parts) -> list[str]:
    """What to know before anything is paid for: where policies have too little to meet on."""
    held_out = interchange.read_questions(folder / QUESTIONS).get("test", [])
    graded = [question for question in held_out if question.grader.type != "judged"]
    marked, fewest = len(graded), parts.setup.rule.fewest
    nobody, kinds = len(held_out) - marked, families(graded)
    found = []
    if nobody:
        found.append(
            f"{nobody} of {len(held_out)} held-out questions have no grader: nobody marks their "
            "answers, and unless these can be put to the vote no policy is compared on them"
        )
    if marked < fewest:
        what = "with a grader are held out" if nobody else "are held out"
        whence = "from seeds that have one" if nobody else "from further seeds where these run out"
        found.append(
            f"this run may promote nothing{_unless(nobody, parts)}: {marked} questions {what}, "
            f"and of fewer than {fewest} in all nothing is concluded; draw "
            f"{math.ceil(fewest / MOST_HELD_OUT)} or more, {whence}"
        )
    elif kinds < FEWEST_CLUSTERS:
        found.append(
            f"this run may promote nothing{_unless(nobody, parts)}: the {marked} questions that "
            f"are held out are variants of {kinds}, and of fewer than {FEWEST_CLUSTERS} in all "
            "nothing is concluded; add rows to the seeds' tables, or values to their slots"
        )
    return found


def _unless(nobody: int, parts: Parts) -> str:
    """What may bring more questions to compare policies on than are counted beforehand."""
    ways = ["the record brings more"] if parts.diary is not None else []
    ways += ["answers without a grader can be voted on"] if nobody else []
    return f" unless {' or '.join(ways)}" if ways else ""


def _shares(count: int) -> Mapping[Split, float]:
    """Enough held-out questions to tell two policies apart, as far as :data:`MOST_HELD_OUT`."""
    test = min(max(HELD_OUT / count, 0.2), MOST_HELD_OUT)
    return {"train": (1.0 - test) * 0.8, "val": (1.0 - test) * 0.2, "test": test}


async def _collected(folder: Path, *, parts: Parts, course: Course, watcher: Watcher) -> Report:
    questions = interchange.read_questions(folder / QUESTIONS)
    bounds = course.bounds
    if bounds.budget_usd is not None:
        unmarked = any(q.grader.type == "judged" for part in questions.values() for q in part)
        wanted = bool(parts.judges) and (unmarked or course.labels == "consensus")
        # Judges of an earlier run were paid out of the same budget, whoever is named now.
        paid = await asyncio.to_thread(spent, folder / OUTCOMES)
        left = bounds.budget_usd - max(bounds.budget_usd * JUDGES_SHARE * wanted, paid)
        bounds = replace(bounds, budget_usd=max(left, 0.0))
    return await collect(
        questions,
        parts.models,
        providers=parts.providers,
        folder=folder / OUTCOMES,
        bounds=bounds,
        progress=watcher.cell,
    )


async def _judged(folder: Path, *, parts: Parts, course: Course, watcher: Watcher) -> Told:
    """Have judges compare the answers that nothing marks, with the money that is left.

    They see what was collected alone: what the record holds, who asked may have meant for nobody
    but the models that were asked, and the record does not say.
    """
    parted = interchange.read_questions(folder / QUESTIONS).values()
    questions = [question for part in parted for question in part]
    collected = await asyncio.to_thread(read, folder / OUTCOMES)
    models = (*parts.models, *parts.judges)
    due = await asyncio.to_thread(posed, collected, questions, models=models, labels=course.labels)
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


async def _exported(folder: Path, parts: Parts, steps: _Steps) -> Exported | None:
    """The decisions on record as tables, where they are learnt from too."""
    if parts.diary is None:
        return None
    steps.begin("reading the record")
    return await traffic.export(
        parts.diary,
        folder / TRAFFIC,
        parts.models,
        stale=parts.stale,
        classifier=parts.classifier.read_all,
    )


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
    name = versions.add(artefact)
    # What judges and agreement in content say is learnt from, but it measures nothing.
    full = voted(recorded)
    held_out = complete(full.where(("test",)))
    nobody = len(complete(full.where(("test",)), scored=False).queries) - len(held_out.queries)
    serving = versions.current()
    if nobody and not held_out.queries and (serving is None or serving.id != name):
        versions.prune(KEPT, besides=name)
        return _noting(Promotion(id=name, promoted=False, why="too little to tell"), nobody)
    parted = interchange.read_questions(folder / QUESTIONS).values()
    alike = partial(kin, [question for part in parted for question in part])

    def others() -> Sequence[HeldOut]:
        if len(held_out.queries) >= ENOUGH_HELD_OUT:
            return ()
        found = stand_ins(
            recorded.where(("train", "val")),
            lambda rows: _fitted(rows, opinions, parts, course=course),
            kin=alike,
            seed=course.seed,
        )
        places = {query: place for place, query in enumerate(full.queries)}
        return [
            replace(one, recorded=full.rows([places[query] for query in one.recorded.queries]))
            for one in found
        ]

    told = consider(
        versions,
        name,
        held_out=held_out,
        default=parts.default,
        setup=replace(parts.setup, stand_ins=others, kin=alike),
        canary=course.canary,
    )
    return _noting(told, nobody)


async def _served(
    folder: Path, artefact: Artefact, promotion: Promotion, *, parts: Parts, steps: _Steps
) -> served.Told | None:
    """What the record says of the new policy and the one that served before."""
    if parts.diary is None:
        return None
    steps.begin("weighing what was served")
    log = await served.drawn(parts.diary, stale=parts.stale)
    incumbent = await asyncio.to_thread(_before, folder, promotion, parts.default)
    return await asyncio.to_thread(
        served.weigh, incumbent, artefact, log=log, models=parts.models, setup=parts.setup
    )


def _before(folder: Path, promotion: Promotion, default: Artefact) -> Artefact:
    """The policy that `promotion` was decided against."""
    versions = Versions(folder / POLICIES)
    serving = versions.current()
    name = None if serving is None else serving.id
    if name == promotion.id and promotion.comparison is not None:
        name = versions.previous()
    return default if name is None else versions.read(name)


def _noting(told: Promotion, nobody: int) -> Promotion:
    """`told`, which says besides how many held-out questions had no part in it."""
    if not nobody or (told.promoted and told.comparison is None):
        return told
    why = f"{told.why}; {nobody} held-out questions that nobody marks are not compared on"
    if not told.promoted:
        why += f"; to have it serve all the same: emafusion promote {told.id} --force --why TEXT"
    return replace(told, why=why)


def _told(folder: Path, found: Learned) -> None:
    told = msgspec.json.format(msgspec.json.encode(found), indent=1)
    files.write(folder / REPORT, told + b"\n")
