"""The README's table and plots: every system on held-out rows of recorded outcomes.

DATA holds folders in the interchange format. Where a folder names no rows of split ``test``, a
quarter of its ``train`` rows, the same ones each time, is held out from the fit and measured on.

Run: ``python benchmarks/full.py DATA --out FOLDER [--sets mmlu-pro reasoning] [--jobs 2]``
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from emafusion import __version__, artefacts, config, encoders
from emafusion.config.build import replaying
from emafusion.evaluate.report.document import Document
from emafusion.evaluate.report.plots import save_plot
from emafusion.learn.benchmark import Options, Parts, run
from emafusion.understand import FastClassifier

SETS = ("mmlu-pro", "reasoning")
FILES = ("queries", "outcomes", "responses")
HELD_OUT = 4
"""One train row in so many is held out."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("bench"))
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args()
    for name in given.sets:
        began = time.monotonic()
        train, test = divided(given.data / name, given.out / name)
        found = evaluated(train, test, given.out / name, jobs=given.jobs)
        save_plot(found, given.out / f"{name}.svg")
        show(name, found, time.monotonic() - began)
    return 0


def evaluated(train: Path, test: Path, out: Path, *, jobs: int) -> Document:
    """What ``emafusion evaluate`` makes of the two folders."""
    encoder = encoders.Remembered(encoders.default(), size=50_000)
    shipped = artefacts.read(Path(config.__file__).parent / "policy")
    parts = Parts(
        classifier=FastClassifier.from_arrays(shipped.under("understand"), encoder),
        encoder=encoder,
        build=replaying,
        version=__version__,
    )
    return run(train, test, out, parts=parts, options=Options(jobs=jobs))


def divided(folder: Path, out: Path) -> tuple[Path, Path]:
    """Folders to fit on and to measure on."""
    queries = parquet.read_table(folder / "queries.parquet")
    splits = dict(zip(queries["query_id"].to_pylist(), queries["split"].to_pylist(), strict=True))
    if "test" in splits.values():
        held = {query for query, split in splits.items() if split == "test"}
    else:
        held = {query for query, split in splits.items() if split == "train" and drawn(query)}
    parts = out / "rows" / "train", out / "rows" / "test"
    for part, wanted in zip(parts, (False, True), strict=True):
        part.mkdir(parents=True, exist_ok=True)
        for file in FILES:
            if not (folder / f"{file}.parquet").exists():
                continue
            table = parquet.read_table(folder / f"{file}.parquet")
            mask = pa.array([(query in held) == wanted for query in table["query_id"].to_pylist()])
            parquet.write_table(table.filter(mask), part / f"{file}.parquet")
    return parts


def drawn(query: str) -> bool:
    """Whether a train row is held out."""
    return hashlib.sha256(query.encode()).digest()[0] % HELD_OUT == 0


def show(name: str, found: Document, took_s: float) -> None:
    """The figures, as the README has them."""
    base = found.best_single
    print(f"\n{name}: fitted on {found.run['fitted_on']}, measured on {found.n} other queries")
    print(f"  best single model {base.model}: {base.accuracy:.4f} at 1 × (${base.cost_usd:.5f})")
    for point, figures in found.headline.items():
        over = figures.over_best_single
        print(
            f"  emafusion {point:<12} {figures.accuracy:.4f} ({over.difference:+.4f}, 95 % "
            f"{over.low:+.4f} … {over.high:+.4f}) at {figures.cost_share or 0:.3f} ×, "
            f"ECE {figures.ece or 0:.3f}"
        )
    budget = found.pool.mean_cost_usd / 4.0
    cheap = [m.accuracy for m in found.pool.models.values() if m.cost_usd <= budget]
    print(
        f"  best single model within a quarter of the pool's mean cost: {max(cheap, default=0):.4f}"
    )
    for system, each in sorted(found.systems.items(), key=lambda pair: -(pair[1].aiq or 0.0)):
        if each.role not in ("single", "bound"):
            print(f"  AIQ {each.aiq or 0:.4f} {system} ({each.role})")
    print(f"  engine and batch agree on {found.run['engine_equals_batch']:.4f} of the decisions")
    print(f"  {took_s:.0f} s, of which the fit {found.run['fit_cpu_s']} s of CPU")


if __name__ == "__main__":
    sys.exit(main())
