"""What a report is made of: the rows, the systems that ran on them, the points to lead with."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from emafusion.errors import DataError
from emafusion.evaluate.runs import Run, System, Table

OURS = "emafusion"
POINTS = ("max_quality", "parity", "economy")


class Benchmark(Struct, frozen=True, kw_only=True):
    """A finished benchmark.

    Parameters
    ----------
    dataset : str
        Its name.
    table : Table
        The test rows.
    systems : tuple of System
        Ours is named "emafusion"; every model alone has the role "single".
    headline : mapping of str to Run
        ``max_quality``, ``parity`` and ``economy``, chosen on the ``val`` rows; each with its
        calls and sources.
    run : mapping
        Seed, commit, date, timings: copied into the report as they are.
    prompts : mapping of str to str
        Prompts to show with the examples, by query; none are shown unless given.
    """

    dataset: str
    table: Table
    systems: tuple[System, ...]
    headline: Mapping[str, Run]
    run: Mapping[str, object] = field(default_factory=dict)
    prompts: Mapping[str, str] = field(default_factory=dict)

    @property
    def seed(self) -> int:
        """The run's seed; 0 where it names none."""
        seed = self.run.get("seed", 0)
        return seed if isinstance(seed, int) else 0

    @property
    def best_single(self) -> System:
        """The model that is most accurate alone on these very rows, the cheaper of equals.

        In hindsight, so at least as hard to beat as the one that the fitted rows would name.
        """
        singles = [system for system in self.systems if system.role == "single"]
        if not singles:
            raise DataError("no system has the role 'single'; a report needs every model alone")
        return min(singles, key=lambda each: (-each.runs[0].accuracy, each.runs[0].cost_usd))

    def check(self) -> None:
        """Raise :class:`DataError` unless all parts speak of the same rows."""
        n = len(self.table.queries)
        names = [system.name for system in self.systems]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise DataError(f"two systems are named {repeated[0]!r}")
        if n == 0:
            raise DataError(f"{self.dataset!r} has no rows to report on")
        absent = [point for point in POINTS if point not in self.headline]
        if absent:
            raise DataError(f"the headline has no point {absent[0]!r}")
        for system in self.systems:
            for run in system.runs:
                _same_length(n, run, system.name)
        for point, run in self.headline.items():
            _same_length(n, run, point)


def _same_length(n: int, run: Run, name: str) -> None:
    parts = (run.scores, run.costs, run.confidences, run.calls, run.sources)
    for part in parts:
        if part is not None and len(part) != n:
            raise DataError(f"{name!r} at {run.knob!r} has {len(part)} rows; the table has {n}")
