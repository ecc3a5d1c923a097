"""Draws what the gateway costs beside its peers, from the figures of ``gateway.py``.

Knows the figures' names and a picture's size; measures nothing. Each system is one bar, on a
logarithmic scale: CPU milliseconds a request.

Run ``python benchmarks/gateway_chart.py [FIGURES] [PICTURE]``; by default it reads
``benchmarks/out/gateway.json`` and writes ``docs/gateway.svg``.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from html import escape
from pathlib import Path

HERE = Path(__file__).parent
FIGURES = HERE / "out" / "gateway.json"
PICTURE = HERE.parent / "docs" / "gateway.svg"
LEFT, RIGHT, ROW, TOP, WIDTH = 190, 70, 24, 40, 640
LEAST, MOST = 0.1, 100.0
UNSHOWN = {"upstream"}


def main() -> None:
    told = [Path(each) for each in sys.argv[1:]] + [FIGURES, PICTURE][len(sys.argv) - 1 :]
    report = json.loads(told[0].read_text())
    told[1].write_text(drawn(report["systems"], report["cpus"]))


def drawn(systems: Mapping[str, Mapping[str, float]], cpus: int) -> str:
    """The picture, as SVG; a system without a figure is left out."""
    costs = {
        name: row["cpu_ms_per_request"]
        for name, row in systems.items()
        if name not in UNSHOWN and row.get("cpu_ms_per_request", 0.0) > 0.0
    }
    height = TOP + ROW * len(costs) + 24
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"',
        ' font-family="sans-serif" font-size="12" fill="#57606a">',
        f"<title>CPU milliseconds a request, one worker on one core of {cpus}</title>",
        '<text x="8" y="18" font-size="14">CPU milliseconds a request (logarithmic)</text>',
        *(_rule(power, height) for power in (0.1, 1.0, 10.0, 100.0)),
        *(_bar(place, name, cost) for place, (name, cost) in enumerate(ascending(costs))),
        "</svg>\n",
    ]
    return "\n".join(lines)


def ascending(costs: Mapping[str, float]) -> list[tuple[str, float]]:
    """The cheapest first."""
    return sorted(costs.items(), key=lambda one: one[1])


def across(cost: float) -> float:
    """Where `cost` lies, in the picture's units from the left."""
    share = math.log(min(max(cost, LEAST), MOST) / LEAST) / math.log(MOST / LEAST)
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def _rule(power: float, height: int) -> str:
    x = across(power)
    return (
        f'<path d="M{x:.1f} {TOP - 8}V{height - 20}" stroke="#d0d7de"/>'
        f'<text x="{x:.1f}" y="{height - 6}" text-anchor="middle">{power:g}</text>'
    )


def _bar(place: int, name: str, cost: float) -> str:
    y = TOP + ROW * place
    colour = "#0969da" if name.startswith("emafusion") else "#8c959f"
    return (
        f'<text x="{LEFT - 8}" y="{y + 12}" text-anchor="end">{escape(name)}</text>'
        f'<rect x="{LEFT}" y="{y}" width="{max(across(cost) - LEFT, 1):.1f}" height="16" '
        f'rx="2" fill="{colour}"/>'
        f'<text x="{across(cost) + 6:.1f}" y="{y + 12}">{cost:.2g}</text>'
    )


if __name__ == "__main__":
    main()
