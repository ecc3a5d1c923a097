"""How many documents with orders to a model are told from those without, and how long it takes.

Run: ``python benchmarks/injection.py [--split build] [--at 0.6] [TEXT ...]``. Files named besides
are documents of one's own that hold no orders: how many of them look as if they did is told, too.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Iterable
from pathlib import Path

from emafusion.protect import injection
from injection_corpus import Document, Maker


def rates(documents: Iterable[Document], at: float) -> dict[str, float]:
    """The share of each family whose score is `at` or more, and of all together."""
    found: dict[str, list[bool]] = {}
    for one in documents:
        above = injection.score(one.text) >= at
        found.setdefault(one.family, []).append(above)
        found.setdefault("all", []).append(above)
    return {family: round(sum(some) / len(some), 3) for family, some in found.items()}


def took(length: int) -> float:
    """CPU milliseconds for a document of `length` characters, the median of 15."""
    texts = [one.text for one in Maker("held", 11).documents(40)]
    text = "\n\n".join(texts)[:length]
    return round(statistics.median(_once(text) for _ in range(15)), 2)


def _once(text: str) -> float:
    begun = time.process_time()
    injection.score(text)
    return 1e3 * (time.process_time() - begun)


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--split", choices=("build", "held"), default="held")
    arguments.add_argument("--at", type=float, default=0.6)
    arguments.add_argument("texts", nargs="*", type=Path)
    chosen = arguments.parse_args()
    maker = Maker(chosen.split)
    attacks, documents = list(maker.attacks(5)), list(maker.documents(70))
    report = {
        "attacks": len(attacks),
        "detected": rates(attacks, chosen.at),
        "documents": len(documents),
        "false_positives": rates(documents, chosen.at),
        "ms_5_kB": took(5_000),
        "ms_50_kB": took(50_000),
    }
    if chosen.texts:
        own = [Document(path.read_text("utf-8", "replace"), "own", False) for path in chosen.texts]
        report["own"] = len(own)
        report["false_positives_own"] = rates(own, chosen.at)["own"]
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
