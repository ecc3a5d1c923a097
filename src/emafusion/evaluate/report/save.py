"""Puts a benchmark's report on disk. Nothing is written that the outcomes do not bear out."""

from __future__ import annotations

from pathlib import Path

from emafusion.errors import DataError
from emafusion.evaluate import files
from emafusion.evaluate.report import decisions, page
from emafusion.evaluate.report.benchmark import Benchmark
from emafusion.evaluate.report.document import Document, document

TOLERANCE = 1e-9


def save(benchmark: Benchmark, folder: Path) -> Document:
    """Write ``decisions.parquet``, ``report.html`` and ``report.json`` to `folder`.

    All three are made before the first is written, and each is replaced at once; ``report.json``
    comes last, so a folder that has it is complete.

    Raises
    ------
    DataError
        A decision or a headline figure does not follow from the outcomes, or parts do not fit.
    StoreError
        A file could not be written.
    MissingExtraError
        matplotlib, jinja2 or pyarrow is not installed.
    """
    benchmark.check()
    made = decisions.decide(benchmark.headline, benchmark.table)
    found = document(benchmark, made)
    _check(found, decisions.recompute(made, benchmark.table))
    parquet = files.parquet(decisions.to_table(made))
    html = page.render(found).encode()
    files.write(folder / "decisions.parquet", parquet, parents=True)
    files.write(folder / "report.html", html, parents=True)
    files.write(folder / "report.json", found.encode(), parents=True)
    return found


def _check(found: Document, worked_out: dict[str, decisions.Figures]) -> None:
    for point, figures in worked_out.items():
        stated = found.headline[point]
        off = max(abs(stated.accuracy - figures.accuracy), abs(stated.cost_usd - figures.cost_usd))
        if not off <= TOLERANCE:
            raise DataError(f"the headline figures of {point!r} do not follow from its decisions")
