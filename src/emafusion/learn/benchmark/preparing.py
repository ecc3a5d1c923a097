"""Both folders of a benchmark, read, and the policy fitted on the first.

Knows nothing of the systems that are compared on them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from emafusion import artefacts
from emafusion.errors import DataError
from emafusion.evaluate.datasets.detect import interchange
from emafusion.evaluate.recorded import Recorded, read
from emafusion.learn.benchmark import rows
from emafusion.learn.benchmark.live import Build
from emafusion.learn.fit.evidence import Evidence
from emafusion.learn.fit.policy import Learnt, Material, learn, prepare
from emafusion.learn.label import Labels
from emafusion.protocols import Encoder
from emafusion.understand import FastClassifier

Tell = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and how much there is."""


class Options(Struct, frozen=True, kw_only=True):
    """How a benchmark runs.

    ``seed`` fixes folds and samples; ``jobs`` processes measure systems side by side;
    ``prompts`` shows prompts beside the examples in the report; ``composites`` is a file of
    composite prompts made of the test folder's queries. ``labels`` says whether the recorded
    scores of the training folder are learnt from, or consensus alone; ``train_rows`` fits on so
    many of its queries. ``leave_out`` are models ("all") to leave out and add back by ``probes``,
    ``online`` learns from the score of what was answered alone, and ``drift`` is a change to
    notice, ``MODEL=WEAKER@ROW``.
    """

    seed: int = 0
    jobs: int = 1
    prompts: bool = False
    composites: Path | None = None
    labels: Labels = "reference"
    train_rows: int | None = None
    leave_out: tuple[str, ...] = ()
    probes: int = 60
    online: bool = False
    drift: str | None = None


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


def prepared(
    train: Path, test: Path, out: Path, *, parts: Parts, options: Options, tell: Tell
) -> Prepared:
    """Read both folders, fit on the first, and see the second as the policy does.

    Raises
    ------
    DataError
        A folder is malformed, the pools differ, or there is too little to fit on.
    """
    tell("reading the training folder", 0, 1)
    out.mkdir(parents=True, exist_ok=True)
    fitted = read(interchange(train, out / "train")).where(("train", "val"))
    tell("reading the test folder", 0, 1)
    asked = _asked(read(interchange(test, out / "test")), train, test)
    found = rows.complete(rows.aligned(asked, fitted.models, str(test)))
    if not found.queries:
        raise DataError(f"{str(test)!r} holds no query that every model has answered")
    fitted = rows.complete(fitted, scored=options.labels == "reference")
    if options.train_rows is not None:
        fitted = rows.sampled(fitted, options.train_rows, options.seed)
    began = time.process_time()
    tell("reading prompts and drafts", 0, 1)
    material = prepare(
        fitted,
        classifier=parts.classifier,
        encoder=parts.encoder,
        seed=options.seed,
        labels=options.labels,
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
