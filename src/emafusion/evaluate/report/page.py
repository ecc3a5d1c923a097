"""``report.html``: the document as one page that needs nothing else, on a phone or in the dark.

Knows how figures are worded and laid out; the template ``page.html.j2`` escapes every text.
"""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Final

from emafusion.errors import MissingExtraError
from emafusion.evaluate.report import ink, plots
from emafusion.evaluate.report.benchmark import POINTS
from emafusion.evaluate.report.document import Difference, Document, SystemFigures
from emafusion.evaluate.report.spending import Spending, Spent

if TYPE_CHECKING:
    from markupsafe import Markup

NOTHING: Final = "–"
TITLES: Final = {"max_quality": "Best quality", "parity": "Parity", "economy": "Economy"}
GROUPS: Final = (
    ("Ours", "ours"),
    ("Ours without a part", "ablation"),
    ("Baselines", "baseline"),
    ("Bounds", "bound"),
    ("Single models", "single"),
)


def render(found: Document) -> str:
    """The page of `found`; raises :class:`MissingExtraError` without jinja2 or matplotlib."""
    try:
        import jinja2
    except ImportError as missing:
        raise MissingExtraError("jinja2", "evaluate") from missing
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters.update(
        percent=percent,
        money=money,
        times=times,
        difference=difference,
        figure=figure,
        share=share,
        ratio=lambda part, whole: NOTHING if not whole else times(part / whole),
        of=lambda part, whole: NOTHING if not whole else share(part / whole),
    )
    source = resources.files(__package__).joinpath("page.html.j2").read_text(encoding="utf-8")
    return environment.from_string(source).render(**_content(found), bar=_bar) + "\n"


def percent(value: float) -> str:
    """A share of 1 as a percentage with one decimal."""
    return f"{100 * value:.1f}\u00a0%"


def money(usd: float) -> str:
    """Mean US dollars a query, told per 1,000 queries to three figures."""
    value = 1000 * usd
    return f"${value:.2f}" if value >= 1 or value == 0 else f"${value:.3g}"


def times(value: float) -> str:
    """A ratio of costs."""
    return f"{value:.2f}×" if value >= 0.1 else f"{value:.3f}×"


def figure(value: float | None, decimals: int) -> str:
    """A bare number; a dash where there is none."""
    return NOTHING if value is None else f"{value:.{decimals}f}"


def share(value: float | None) -> str:
    """A share of 1 as a whole percentage; a dash where there is none."""
    return NOTHING if value is None else f"{100 * value:.0f}\u00a0%".replace("-", "−")


def difference(value: Difference | None) -> str:
    """A difference in points, with its interval."""
    if value is None:
        return NOTHING
    low, middle, high = (100 * part for part in (value.low, value.difference, value.high))
    return f"{middle:+.1f} [{low:+.1f}, {high:+.1f}]".replace("-", "−")


def _content(found: Document) -> dict[str, object]:
    ablations = any(system.role == "ablation" for system in found.systems.values())
    return {
        "d": found,
        "run": sorted((name, value) for name, value in found.run.items()),
        "titles": TITLES,
        "headline": [(name, found.headline[name]) for name in POINTS],
        "groups": _groups(found),
        "hidden": _hidden(found),
        "light": ink.rules(ink.LIGHT),
        "dark": ink.rules(ink.DARK),
        "pareto_wide": _pareto(found, "baseline", plots.WIDE),
        "pareto_narrow": _pareto(found, "baseline", plots.NARROW),
        "ablation_wide": _pareto(found, "ablation", plots.WIDE) if ablations else "",
        "ablation_narrow": _pareto(found, "ablation", plots.NARROW) if ablations else "",
        "calibrations": [
            (name, plots.calibration(found.calibration[name], name=f"calibration-{name}"))
            for name in POINTS
            if name in found.calibration
        ],
        "spending": [(name, found.spending[name]) for name in POINTS if name in found.spending],
        "examples": [
            ("Won", found.examples.won_count, found.examples.won),
            ("Lost", found.examples.lost_count, found.examples.lost),
        ],
    }


def _pareto(found: Document, role: str, shape: plots.Shape) -> str:
    size = "narrow" if shape is plots.NARROW else "wide"
    return plots.pareto(found, roles=(role,), shape=shape, name=f"{role}-{size}")


def _groups(found: Document) -> list[tuple[str, list[tuple[str, SystemFigures]]]]:
    groups = []
    for title, role in GROUPS:
        rows = [(name, each) for name, each in found.systems.items() if each.role == role]
        rows.sort(key=lambda row: (-(row[1].aiq or 0.0), -row[1].accuracy, row[0]))
        groups.append((title, rows))
    return [(title, rows) for title, rows in groups if rows]


def _hidden(found: Document) -> int:
    lowest = found.best_single.accuracy - plots.BELOW
    return sum(model.accuracy < lowest for model in found.pool.models.values())


def _bar(part: Spent, spent: Spending) -> Markup:
    """A bar as long as `part` is of the dearest model's, split into returned and discarded."""
    from markupsafe import Markup

    longest = max(each.cost_usd for each in spent.by_model.values()) or 1.0
    model = next(name for name, each in spent.by_model.items() if each is part)
    returned = spent.kept[model].cost_usd if model in spent.kept else 0.0
    lengths = [100 * usd / longest for usd in (returned, part.cost_usd - returned)]
    return Markup(
        '<span class="bar"><i style="width:{:.1f}%"></i><i class="waste" style="width:{:.1f}%"></i>'
        "</span>"
    ).format(*lengths)
