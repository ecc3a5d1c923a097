"""Every system of a benchmark measured on the same rows: ours, its ablations, the baselines.

Knows how they are kept and run side by side, so that an interrupted run goes on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

from emafusion.evaluate.baselines import BASELINES, singles
from emafusion.evaluate.report.benchmark import OURS
from emafusion.evaluate.runs import System, Table
from emafusion.evaluate.threads import one_thread
from emafusion.learn.benchmark import ours, rows
from emafusion.learn.benchmark.kept import Kept
from emafusion.learn.benchmark.preparing import Options, Prepared, Tell
from emafusion.learn.fit import logistic
from emafusion.types import replace

KEPT = ".systems"


def measured(prepared: Prepared, out: Path, *, options: Options, tell: Tell) -> list[System]:
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
    for name, system in _finished(waiting, jobs, tables, kept=kept, options=options):
        found[name] = system
        done += 1
        tell(f"measuring {name}", done, len(names))
    return [*(found[name] for name in names), *singles.every(train, val, test)]


def _finished(
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
