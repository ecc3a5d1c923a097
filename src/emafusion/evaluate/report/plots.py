"""The report's pictures, as SVG: the Pareto plot and the calibration plot.

Knows how figures are drawn; takes every figure from the document.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from emafusion.errors import MissingExtraError
from emafusion.evaluate import files
from emafusion.evaluate.report import ink
from emafusion.evaluate.report.benchmark import OURS, POINTS
from emafusion.evaluate.report.document import Bin, Document, SystemFigures

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

PER = 1000
"""Costs are drawn per this many queries."""
BELOW: Final = 0.22
"""What lies further than this below the best single model is left out of the picture."""
MARKERS: Final = "sDv^PX"
DASHES: Final = ("solid", (0, (5, 2)), (0, (1.5, 1.5)))
INK: Final = ink.STAND_INS


class Shape(Struct, frozen=True, kw_only=True):
    """A picture's size in inches, its type in points, and the room for names at its right."""

    width: float
    height: float
    type_size: float
    names: float


WIDE: Final = Shape(width=9.6, height=5.6, type_size=10.5, names=0.17)
NARROW: Final = Shape(width=4.6, height=6.4, type_size=10.5, names=0.39)


class _Name(Struct, frozen=True, kw_only=True):
    """A series' name, to stand at the right beside the point where its line ends."""

    text: str
    end: tuple[float, float]
    colour: str
    bold: bool = False


def pareto(found: Document, *, roles: Sequence[str], shape: Shape = WIDE, name: str) -> str:
    """Accuracy against cost: the hulls of ours and of the systems whose role is in `roles`.

    Ours has its 95 % band; every model alone is a dot; the best one and the oracle are named.
    Costs are on a log axis unless some are 0. `name` tells the picture's ids from others'.
    """
    with _drawing(shape) as (figure, axes):
        axes.set_position((0.78 / shape.width, 0.1, 1 - shape.names - 0.78 / shape.width, 0.87))
        drawn = _chosen(found, roles)
        _frame(axes, found, drawn, shape=shape)
        names = [_series(axes, system, place) for place, system in enumerate(drawn)]
        _singles(axes, found)
        _write_names(figure, axes, [*names, _ours(axes, found)], shape=shape)
        _landmarks(axes, found, shape=shape)
        return ink.coloured(_svg(figure), name)


def calibration(bins: Sequence[Bin], *, name: str) -> str:
    """How often answers were right against how sure we were; a dot's area is its number of them."""
    with _drawing(Shape(width=4.6, height=4.4, type_size=10.5, names=0.04)) as (figure, axes):
        axes.set_position((0.15, 0.13, 0.81, 0.84))
        largest = max(each.n for each in bins)
        axes.plot([0, 1], [0, 1], color=INK["muted"], linewidth=1, dashes=(4, 3))
        for each in bins:
            axes.plot(
                [each.confidence] * 2,
                [each.confidence, each.accuracy],
                color=INK["ours"],
                alpha=0.5,
            )
        axes.scatter(
            [each.confidence for each in bins],
            [each.accuracy for each in bins],
            s=[14 + 240 * each.n / largest for each in bins],
            color=INK["ours"],
            edgecolors=INK["paper"],
            zorder=3,
        )
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        axes.set_xlabel("confidence given")
        axes.set_ylabel("share right")
        return ink.coloured(_svg(figure), name)


def save_plot(found: Document, path: Path) -> None:
    """Write the Pareto plot of `found` alone to `path`, an ``.svg``; raises :class:`StoreError`."""
    svg = ink.standalone(pareto(found, roles=("baseline",), name="pareto"))
    files.write(path, svg.encode())


@contextmanager
def _drawing(shape: Shape) -> Iterator[tuple[Figure, Axes]]:
    """A figure drawn the same on every machine, whatever the user's settings of matplotlib."""
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError as missing:
        raise MissingExtraError("matplotlib", "evaluate") from missing
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_settings(shape))
        figure = Figure(figsize=(shape.width, shape.height))
        axes = figure.add_subplot()
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(linewidth=0.8)
        axes.set_axisbelow(True)
        yield figure, axes


def _settings(shape: Shape) -> Any:
    return {
        "svg.fonttype": "none",
        "svg.hashsalt": "emafusion",
        "text.parse_math": False,
        "font.size": shape.type_size,
        "figure.facecolor": "none",
        "axes.facecolor": "none",
        "axes.edgecolor": INK["muted"],
        "axes.labelcolor": INK["muted"],
        "text.color": INK["ink"],
        "xtick.color": INK["muted"],
        "ytick.color": INK["muted"],
        "grid.color": INK["grid"],
    }


def _svg(figure: Figure) -> str:
    sink = io.StringIO()
    figure.savefig(sink, format="svg", metadata={"Date": None, "Creator": None})
    return sink.getvalue()


def _chosen(found: Document, roles: Sequence[str]) -> list[tuple[str, SystemFigures]]:
    return [
        (name, system)
        for name, system in sorted(found.systems.items())
        if system.role in roles and name not in {OURS, "best_single"}
    ]


def _frame(
    axes: Axes, found: Document, drawn: Sequence[tuple[str, SystemFigures]], *, shape: Shape
) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, PercentFormatter

    systems = [system for _, system in drawn] + [found.systems[OURS]]
    costs = [PER * point.cost_usd for system in systems for point in system.points]
    costs += [PER * each.cost_usd for each in (*found.pool.models.values(), found.oracle)]
    if min(costs) > 0:
        axes.set_xscale("log")
        axes.set_xlim(min(costs) / 1.25, max(costs) * 1.25)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 3) if shape is NARROW else (1, 2, 5)))
    low = max(found.best_single.accuracy - BELOW, 0.0)
    heights = [point.accuracy for system in systems for point in system.points]
    heights += [each.accuracy for each in found.pool.models.values()]
    seen = [height for height in heights if height >= low]
    above = 0.3 * (max(seen) - min(seen)) + 0.03
    axes.set_ylim(min(seen) - 0.012, min(max(seen) + above, found.oracle.accuracy + 0.03))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"${value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_xlabel("cost of 1,000 queries, every call counted")
    axes.set_ylabel("accuracy", labelpad=2)


def _line(axes: Axes, system: SystemFigures) -> tuple[Array, Array]:
    """The hull, close enough together that it is straight in dollars on a log axis too."""
    import numpy as np

    hull = np.array(system.hull)
    costs = PER * hull[:, 0]
    if costs[0] > 0:
        dense = np.union1d(np.geomspace(costs[0], costs[-1], 200), costs)
    else:
        dense = np.union1d(np.linspace(costs[0], costs[-1], 200), costs)
    return dense, np.interp(dense, costs, hull[:, 1])


def _series(axes: Axes, named: tuple[str, SystemFigures], place: int) -> _Name:
    name, system = named
    colour = INK[ink.SERIES[place % len(ink.SERIES)]]
    across, up = _line(axes, system)
    dashes = DASHES[place // len(ink.SERIES) % len(DASHES)]
    axes.plot(across, up, color=colour, linewidth=1.4, linestyle=dashes, alpha=0.9)
    hull = [(PER * cost, accuracy) for cost, accuracy in system.hull]
    axes.plot(
        *zip(*hull, strict=True),
        color=colour,
        linestyle="none",
        marker=MARKERS[place % len(MARKERS)],
        markersize=4,
        markeredgecolor=INK["paper"],
        markeredgewidth=0.6,
    )
    return _Name(text=name.replace("_", " "), end=hull[-1], colour=colour)


def _ours(axes: Axes, found: Document) -> _Name:
    import numpy as np

    system = found.systems[OURS]
    across, up = _line(axes, system)
    points = sorted(system.points, key=lambda point: point.cost_usd)
    costs = [PER * point.cost_usd for point in points]
    for_hull = {(point.cost_usd, point.accuracy): point.accuracy_ci95 for point in points}
    corners = [corner for corner in system.hull if corner in for_hull]
    if corners:
        costs = [PER * cost for cost, _ in corners]
        low = np.interp(across, costs, [for_hull[corner][0] for corner in corners])
        high = np.interp(across, costs, [for_hull[corner][1] for corner in corners])
        axes.fill_between(across, low, high, color=INK["ours"], alpha=0.13, linewidth=0)
    axes.plot(across, up, color=INK["ours"], linewidth=2.8, zorder=4)
    for headline in (found.headline[point] for point in POINTS):
        axes.plot(
            PER * headline.cost_usd,
            headline.accuracy,
            color=INK["ours"],
            marker="o",
            markersize=8,
            markeredgecolor=INK["paper"],
            zorder=5,
        )
    end = PER * system.hull[-1][0], system.hull[-1][1]
    return _Name(text=OURS, end=end, colour=INK["ours"], bold=True)


def _singles(axes: Axes, found: Document) -> None:
    others = [m for name, m in found.pool.models.items() if name != found.best_single.model]
    axes.plot(
        [PER * each.cost_usd for each in others],
        [each.accuracy for each in others],
        color=INK["dot"],
        linestyle="none",
        marker="o",
        markersize=4.5,
        zorder=1.5,
    )


def _landmarks(axes: Axes, found: Document, *, shape: Shape) -> None:
    best, oracle = found.best_single, found.oracle
    low, high = best.accuracy_ci95
    axes.errorbar(
        PER * best.cost_usd,
        best.accuracy,
        yerr=[[best.accuracy - low], [high - best.accuracy]],
        color=INK["ink"],
        marker="*",
        markersize=13,
        markeredgecolor=INK["paper"],
        elinewidth=1,
        zorder=6,
    )
    axes.axhline(best.accuracy, color=INK["ink"], linewidth=0.8, dashes=(2, 3), zorder=1)
    axes.text(
        0.01,
        best.accuracy,
        "best single" if shape is NARROW else f"best single: {best.model}",
        transform=axes.get_yaxis_transform(),
        va="bottom",
        fontsize="small",
    )
    _, top = axes.get_ylim()
    beyond = oracle.accuracy > top
    axes.plot(
        PER * oracle.cost_usd,
        min(oracle.accuracy, top - 0.012),
        color=INK["ink"],
        marker="^" if beyond else "d",
        markersize=8,
    )
    axes.annotate(
        f"oracle, at {oracle.accuracy:.1%}" if beyond else "oracle",
        (PER * oracle.cost_usd, min(oracle.accuracy, top - 0.012)),
        xytext=(8, 0),
        textcoords="offset points",
        va="center",
        fontsize="small",
    )


def _write_names(figure: Figure, axes: Axes, names: Sequence[_Name], *, shape: Shape) -> None:
    """Each name at the right, at its line's height where there is room, joined by a thin line."""
    size = 0.92 * shape.type_size
    height = axes.get_position().height * shape.height * 72
    bottom, top = axes.get_ylim()
    inside = [n for n in names if bottom <= n.end[1] <= top]
    ordered = sorted(inside, key=lambda n: n.end[1])
    wished = [(n.end[1] - bottom) / (top - bottom) for n in ordered]
    for each, place in zip(ordered, spread(wished, 1.22 * size / height), strict=True):
        axes.annotate(
            each.text,
            each.end,
            xytext=(1.025, place),
            textcoords="axes fraction",
            color=each.colour,
            fontsize=size,
            fontweight="bold" if each.bold else "normal",
            va="center",
            arrowprops={
                "arrowstyle": "-",
                "color": each.colour,
                "linewidth": 0.6,
                "alpha": 0.5,
                "shrinkA": 1,
                "shrinkB": 2,
                "relpos": (0, 0.5),
            },
            annotation_clip=False,
        )


def spread(wished: Sequence[float], gap: float) -> list[float]:
    """Rising places at least `gap` apart within 0 … 1, as near the rising `wished` as may be.

    Where there are too many for `gap`, they stand evenly. The nearest in squared distance: pool
    adjacent violators (Ayer et al., 1955) on the wishes, each less the room of those below it.
    """
    gap = min(gap, 1 / max(len(wished), 1))
    blocks: list[tuple[float, int]] = []
    for place, wish in enumerate(wished):
        mean, size = wish - place * gap, 1
        while blocks and blocks[-1][0] > mean:
            below, count = blocks.pop()
            mean, size = (below * count + mean * size) / (count + size), count + size
        blocks.append((mean, size))
    highest = 1 - (len(wished) - 1) * gap
    level = [min(max(mean, 0.0), highest) for mean, size in blocks for _ in range(size)]
    return [base + place * gap for place, base in enumerate(level)]
