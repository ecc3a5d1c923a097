"""The benchmark, front to back: read, fit, measure every system, replay, report.

:func:`run` is the story. It fits on the training folder alone; of the test folder's scores it
uses only those of answers already chosen.
"""

from __future__ import annotations

import datetime
import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, to_builtins

from emafusion import artefacts
from emafusion.errors import DataError
from emafusion.evaluate import metrics
from emafusion.evaluate.baselines import BASELINES, singles
from emafusion.evaluate.composites import read as read_composites
from emafusion.evaluate.datasets.detect import interchange
from emafusion.evaluate.recorded import Recorded, read
from emafusion.evaluate.report.benchmark import OURS, Benchmark
from emafusion.evaluate.report.document import Document
from emafusion.evaluate.report.save import save
from emafusion.evaluate.runs import Run, System, Table
from emafusion.evaluate.threads import one_thread
from emafusion.learn.benchmark import composites, live, ours, rows
from emafusion.learn.benchmark.combining import combining
from emafusion.learn.benchmark.guarantees import promises
from emafusion.learn.benchmark.kept import Kept
from emafusion.learn.benchmark.live import Build
from emafusion.learn.fit import logistic
from emafusion.learn.fit.evidence import Evidence
from emafusion.learn.fit.policy import Learnt, Material, learn, prepare
from emafusion.protocols import Encoder
from emafusion.types import replace
from emafusion.understand import FastClassifier

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SPARE = 0.9
"""Share of the economy budget that is planned for: other rows may cost a little more."""
KEPT = ".systems"
Tell = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and how much there is."""


class Options(Struct, frozen=True, kw_only=True):
    """How a benchmark runs.

    ``seed`` fixes folds and samples; ``jobs`` processes measure systems side by side;
    ``prompts`` shows prompts beside the examples in the report; ``composites`` is a file of
    composite prompts made of the test folder's queries.
    """

    seed: int = 0
    jobs: int = 1
    prompts: bool = False
    composites: Path | None = None


class Parts(Struct, frozen=True, kw_only=True):
    """What a benchmark is given: the reader of prompts, how an engine is built, whose version."""

    classifier: FastClassifier
    encoder: Encoder
    build: Build
    version: str


class Prepared(Struct, frozen=True, kw_only=True):
    """Both folders, read, the policy fitted on the first, and what it sees of the other."""

    train: Material
    test: Material
    learnt: Learnt
    seen: Evidence
    fit_s: float


def run(
    train: Path,
    test: Path,
    out: Path,
    *,
    parts: Parts,
    options: Options | None = None,
    tell: Tell | None = None,
) -> Document:
    """Fit on `train`'s ``train`` and ``val`` rows, replay all of `test`, write the report to `out`.

    Parameters
    ----------
    train, test : Path
        Recorded outcomes: the interchange format, or RouterBench's or LLMRouterBench's files.
    out : Path
        Gets ``report.json``, ``report.html``, ``decisions.parquet`` and the fitted ``policy``;
        finished systems are kept there too, so that a second run goes on where one stopped.
    parts : Parts
        The classifier and encoder as they serve, and what builds the engine.
    options : Options, optional
        Seed and processes.
    tell : callable, optional
        Told of the progress.

    Raises
    ------
    DataError
        A folder is malformed, the pools differ, or there is too little to fit on.
    """
    options, tell = options or Options(), tell or _silent
    with one_thread():
        prepared = _prepare(train, test, out, parts=parts, options=options, tell=tell)
        systems = _systems(prepared, out, options=options, tell=tell)
        headline = _headline(prepared, systems[0])
        stage = _stage(prepared, parts.build)
        lived, same = _live(stage, headline, tell)
        composed = _composed(prepared, stage, systems[0], options=options, tell=tell)
        tell("writing the report", 0, 1)
        about = {
            **_about(prepared, options, version=parts.version),
            **_more(prepared, lived, encoder=parts.encoder, seed=options.seed),
            "engine_equals_batch": same,
            "composites": composed,
        }
        return save(
            Benchmark(
                dataset=test.name,
                table=rows.table(prepared.test, prepared.seen),
                systems=tuple(systems),
                headline=lived,
                run=about,
                prompts=_prompts(prepared) if options.prompts else {},
            ),
            out,
        )


def _prepare(
    train: Path, test: Path, out: Path, *, parts: Parts, options: Options, tell: Tell
) -> Prepared:
    tell("reading the training folder", 0, 1)
    out.mkdir(parents=True, exist_ok=True)
    fitted = read(interchange(train, out / "train")).where(("train", "val"))
    tell("reading the test folder", 0, 1)
    asked = _asked(read(interchange(test, out / "test")), train, test)
    found = rows.complete(rows.aligned(asked, fitted.models, str(test)))
    if not found.queries:
        raise DataError(f"{str(test)!r} holds no query that every model has answered")
    began = time.process_time()
    tell("reading prompts and drafts", 0, 1)
    material = prepare(
        rows.complete(fitted),
        classifier=parts.classifier,
        encoder=parts.encoder,
        seed=options.seed,
    )
    learnt = learn(material, lambda what: tell(what, 0, 1))
    spent = time.process_time() - began
    if learnt.decided is None:
        raise DataError(f"{str(train)!r} holds too few queries that every model has answered")
    artefacts.write(out / "policy", learnt.artefact)
    fresh = rows.fresh(found, material)
    union = rows.forecasts(fresh, learnt)["union"]
    return Prepared(
        train=material,
        test=fresh,
        learnt=learnt,
        seen=rows.evidence(fresh, learnt, union),
        fit_s=spent,
    )


def _asked(recorded: Recorded, train: Path, test: Path) -> Recorded:
    """The rows to measure on: of the very folder that was fitted on, only its test rows."""
    if train.resolve() != test.resolve():
        return recorded
    found = recorded.where(("test",))
    if not found.queries:
        raise DataError(
            f"{str(test)!r} is the folder that is fitted on, and has no rows of split 'test'; "
            "name another folder with --test"
        )
    return found


def _systems(prepared: Prepared, out: Path, *, options: Options, tell: Tell) -> list[System]:
    """Every system's operating points on the test rows, ours first."""
    digest = _digest(prepared, options)
    kept = Kept(out / KEPT, digest)
    fitted = prepared.learnt.evidence
    train, val = (rows.table(prepared.train, fitted, split=split) for split in ("train", "val"))
    if not val.queries:
        train, val = _divided(train, options.seed)
    test = rows.table(prepared.test, prepared.seen)
    decided = prepared.learnt.decided
    jobs = _jobs(prepared)
    names = [*jobs, *BASELINES]
    found: dict[str, System] = {
        OURS: kept.system(OURS, lambda: ours.measure(jobs[OURS], decided)),
    }
    waiting = [name for name in names if name not in found]
    tables = (train, val, test)
    done = 1
    for name, system in _measured(waiting, jobs, tables, kept=kept, options=options):
        found[name] = system
        done += 1
        tell(f"measuring {name}", done, len(names))
    return [*(found[name] for name in names), *singles.every(train, val, test)]


def _measured(
    waiting: Sequence[str],
    jobs: Mapping[str, ours.Job],
    tables: tuple[Table, Table, Table],
    *,
    kept: Kept,
    options: Options,
) -> Iterator[tuple[str, System]]:
    """Systems as they are finished, side by side where there are several processes."""
    fresh = []
    for name in waiting:
        found = kept.find(name)
        if found is None:
            fresh.append(name)
        else:
            yield name, found
    if options.jobs < 2:
        for name in fresh:
            system = _measure(name, jobs.get(name), tables=tables, seed=options.seed)
            kept.keep(system)
            yield name, system
        return
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        futures: dict[Future[System], str] = {
            pool.submit(_measure, name, jobs.get(name), tables=tables, seed=options.seed): name
            for name in fresh
        }
        for future in as_completed(futures):
            kept.keep(future.result())
            yield futures[future], future.result()


def _measure(
    name: str, job: ours.Job | None, *, tables: tuple[Table, Table, Table], seed: int
) -> System:
    with one_thread():
        return ours.measure(job) if job is not None else BASELINES[name](*tables, seed=seed)


def _jobs(prepared: Prepared) -> dict[str, ours.Job]:
    """Ours and its ablations, each with what it sees."""
    told = rows.forecasts(prepared.test, prepared.learnt)
    fitted = prepared.learnt.evidence
    held_out = prepared.learnt.forecasts
    known = {
        "taxonomy": logistic.log_odds(held_out.taxonomy),
        "learned": logistic.log_odds(held_out.learned),
        "union": fitted.priors,
    }
    jobs = {}
    for name, variant in ours.VARIANTS.items():
        jobs[name] = ours.Job(
            name=name,
            variant=variant,
            fitted=replace(fitted, priors=known[variant.forecast]),
            test=replace(prepared.seen, priors=told[variant.forecast]),
        )
    if not prepared.learnt.speaks:
        # Nobody recorded log-probabilities: that judge had nothing to say in the first place.
        del jobs["no_logprob_judge"]
    return jobs


def _divided(table: Table, seed: int) -> tuple[Table, Table]:
    """Train and val halves for baselines, where the folder names no val rows."""
    import numpy as np

    order = np.random.default_rng(seed).permutation(len(table.queries))
    cut = max(len(order) // 7, 1)
    return table.rows(np.sort(order[cut:])), table.rows(np.sort(order[:cut]))


def _headline(prepared: Prepared, system: System) -> dict[str, Run]:
    """The three points to lead with, by held-out figures of the fitted rows alone."""
    evidence = prepared.learnt.evidence
    accuracy, cost = evidence.scores.mean(axis=0), evidence.costs.mean(axis=0)
    best = int(accuracy.argmax())
    return metrics.headline(
        system.runs,
        best_single=(float(cost[best]), float(accuracy[best])),
        budget_usd=float(cost.mean()) / 4.0 * SPARE,
    )


def _stage(prepared: Prepared, build: Build) -> live.Stage:
    """What the engine is built of, to replay the test folder."""
    return live.Stage(
        build=build,
        policy=prepared.learnt.artefact,
        recorded=prepared.test.recorded,
        bills=prepared.learnt.bills,
    )


def _composed(
    prepared: Prepared, stage: live.Stage, system: System, *, options: Options, tell: Tell
) -> dict[str, object] | None:
    """How composite prompts fared, where a file of them is given."""
    if options.composites is None:
        return None
    found = read_composites(options.composites)
    evidence = prepared.learnt.evidence
    best = int(evidence.scores.mean(axis=0).argmax())
    prefer = composites.setting(system.runs, float(evidence.costs.mean(axis=0)[best]))
    counted = _Counted("replaying composites", len(found), tell)
    return composites.replay(
        stage, found, prefer=prefer, best=best, seed=options.seed, tick=counted.tick
    ).told()


class _Counted:
    """Tells of every fiftieth and the last."""

    def __init__(self, what: str, total: int, tell: Tell) -> None:
        self._what, self._total, self._tell = what, total, tell
        self._done = 0

    def tick(self) -> None:
        """One more is done."""
        self._done += 1
        if self._done % 50 == 0 or self._done == self._total:
            self._tell(self._what, self._done, self._total)


def _live(
    stage: live.Stage, headline: Mapping[str, Run], tell: Tell
) -> tuple[dict[str, Run], float]:
    """The headline as the engine lives it, and the share of decisions equal to the batch's."""
    recorded = stage.recorded
    dial = {name: float(run.knob.partition("=")[2]) for name, run in headline.items()}
    total = len(set(dial.values())) * len(recorded.queries)
    found = live.replay(stage, dial, _Counted("replaying through the engine", total, tell).tick)
    found = {
        name: replace(run, knob=headline[name].knob, tuned=headline[name].tuned)
        for name, run in found.items()
    }
    same = [agrees for name, run in found.items() for agrees in _agree(run, headline[name])]
    return found, sum(same) / max(len(same), 1)


def _agree(lived: Run, planned: Run) -> list[bool]:
    """Whether engine and batch made the same calls, gave the same draft, and were as sure of it."""
    import numpy as np

    close = np.isclose(_confidences(lived), _confidences(planned), atol=1e-3)
    return [
        tuple(a) == tuple(b) and source == other and bool(sure)
        for a, b, source, other, sure in zip(
            lived.calls or (),
            planned.calls or (),
            lived.sources or (),
            planned.sources or (),
            close,
            strict=True,
        )
    ]


def _confidences(run: Run) -> NDArray[np.float64]:
    import numpy as np

    return np.zeros(len(run.scores)) if run.confidences is None else run.confidences


def _about(prepared: Prepared, options: Options, *, version: str) -> dict[str, object]:
    """How the run was made."""
    decided = prepared.learnt.decided
    return {
        "seed": options.seed,
        "version": version,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "fitted_on": len(prepared.train.recorded.queries),
        "fit_cpu_s": round(prepared.fit_s, 1),
        "members": list(decided.rules.lookahead.members) if decided is not None else [],
    }


def _more(
    prepared: Prepared, lived: Mapping[str, Run], *, encoder: Encoder, seed: int
) -> dict[str, object]:
    """What can be promised of the answers, and how well open-ended drafts were chosen among."""
    recorded = prepared.test.recorded
    kept = promises(prepared.learnt, lived, recorded)
    chosen = combining(
        prepared.learnt,
        prepared.seen,
        recorded,
        run=lived["max_quality"],
        encoder=encoder,
        seed=seed,
    )
    return {
        "guarantee": [promise.told() for promise in kept],
        "combining": None if chosen is None else to_builtins(chosen),
    }


def _prompts(prepared: Prepared) -> dict[str, str]:
    recorded = prepared.test.recorded
    return dict(zip(recorded.queries, recorded.prompts, strict=True))


def _digest(prepared: Prepared, options: Options) -> str:
    text = "|".join(
        (
            prepared.train.recorded.digest,
            prepared.test.recorded.digest,
            ",".join(prepared.test.recorded.queries[:5]),
            str(len(prepared.test.recorded.queries)),
            str(options.seed),
        )
    )
    digest = hashlib.sha256(text.encode())
    # What was fitted stands for the code that fitted it: another policy, other systems.
    for name, array in sorted(prepared.learnt.artefact.arrays.items()):
        digest.update(name.encode() + array.tobytes())
    return digest.hexdigest()


def _silent(*_: object) -> None:
    pass
