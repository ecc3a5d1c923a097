"""The benchmark, front to back: read, fit, measure every system, replay, report.

:func:`run` is the story. It fits on the training folder alone; of the test folder's scores it
uses only those of answers already chosen.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import to_builtins

from emafusion.evaluate import metrics
from emafusion.evaluate.composites import read as read_composites
from emafusion.evaluate.report.benchmark import Benchmark
from emafusion.evaluate.report.document import Document
from emafusion.evaluate.report.save import save
from emafusion.evaluate.runs import Run, System
from emafusion.evaluate.threads import one_thread
from emafusion.learn.benchmark import composites, live, preparing, probing, rows, systems
from emafusion.learn.benchmark.combining import combining
from emafusion.learn.benchmark.drifting import Change, drift
from emafusion.learn.benchmark.guarantees import promises
from emafusion.learn.benchmark.live import Build
from emafusion.learn.benchmark.online import bandit
from emafusion.learn.benchmark.preparing import Options, Parts, Prepared, Tell
from emafusion.protocols import Encoder
from emafusion.types import replace

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SPARE = 0.9
"""Share of the economy budget that is planned for: other rows may cost a little more."""


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
        prepared = preparing.prepared(train, test, out, parts=parts, options=options, tell=tell)
        found = systems.measured(prepared, out, options=options, tell=tell)
        headline = _headline(prepared, found[0])
        stage = _stage(prepared, parts.build)
        lived, same = _live(stage, headline, tell)
        composed = _composed(prepared, stage, found[0], options=options, tell=tell)
        tell("writing the report", 0, 1)
        about = {
            **_about(prepared, options, version=parts.version),
            **_more(prepared, lived, encoder=parts.encoder, seed=options.seed),
            "engine_equals_batch": same,
            "composites": composed,
            **_learning(prepared, found, options=options, tell=tell),
        }
        return save(
            Benchmark(
                dataset=test.name,
                table=rows.table(prepared.test, prepared.seen),
                systems=tuple(found),
                headline=lived,
                run=about,
                prompts=_prompts(prepared) if options.prompts else {},
            ),
            out,
        )


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


def _learning(
    prepared: Prepared, found: Sequence[System], *, options: Options, tell: Tell
) -> dict[str, object]:
    """How a newcomer, learning while serving, and a change fare, where that was asked for."""
    told: dict[str, object] = {}
    if options.leave_out:
        setting = probing.Setting(train=prepared.train, test=prepared.test, learnt=prepared.learnt)
        pool = prepared.train.recorded.models
        models = pool if options.leave_out == ("all",) else options.leave_out
        left = probing.leave_out(setting, models, probes=options.probes, tell=tell)
        told["leave_out"] = to_builtins(left)
    if options.online:
        tell("learning while serving", 0, 1)
        told["online"] = bandit(prepared, found, seed=options.seed).told()
    if options.drift is not None:
        tell("noticing a change", 0, 1)
        change = Change.read(options.drift, prepared.train.recorded.models)
        told["drift"] = drift(prepared, change, seed=options.seed).told()
    return told


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
        "labels": options.labels,
        "label_noise": prepared.train.noise,
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


def _silent(*_: object) -> None:
    pass
