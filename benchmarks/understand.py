"""How well the fast classifier reads prompts: held-out templates, recorded tasks, and its speed.

    python benchmarks/understand.py [DATA_FOLDER] [--arrays FILE.npz]

It fits the classifier anew on the train templates (or reads arrays that were fitted so), measures
it on prompts of templates that the fit did not see, and, given the folder of recorded outcomes, on
real prompts whose task is known: nothing there was trained on.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from pyarrow import parquet

from emafusion.encoders import default
from emafusion.learn.fit_understand import fit
from emafusion.learn.taxonomy_prompts import generate
from emafusion.types import AXES, Axis, Labels
from emafusion.understand import FastClassifier, Taxonomy

_SUBJECTS: Mapping[str, tuple[str, ...]] = {
    "math": ("mathematics",),
    "physics": ("science",),
    "chemistry": ("science",),
    "biology": ("science",),
    "law": ("law",),
    "engineering": ("engineering",),
    "economics": ("social_science",),
    "psychology": ("social_science",),
    "business": ("business", "finance"),
    "health": ("medicine",),
    "philosophy": ("humanities",),
    "history": ("humanities",),
    "computer science": ("software",),
    "other": ("general",),
}


def held_out(classifier: FastClassifier, n: int) -> None:
    prompts = generate(Taxonomy.load(), n, seed=1, split="test")
    read = [classifier.read(prompt.text) for prompt in prompts]
    templates = len({prompt.template for prompt in prompts})
    print(f"held-out templates: {n} prompts of {templates} templates that were not fitted")
    for axis in AXES:
        right = np.array(
            [r.top(axis) == p.labels[axis] for r, p in zip(read, prompts, strict=True)]
        )
        sure = np.array([max(r.axes[axis].values()) for r in read])
        by_template: dict[str, list[bool]] = {}
        for prompt, ok in zip(prompts, right.tolist(), strict=True):
            by_template.setdefault(prompt.template, []).append(ok)
        spread = np.array([np.mean(oks) for oks in by_template.values()])
        print(
            f"  {axis:10} accuracy {right.mean():.3f}   mean over templates {spread.mean():.3f} "
            f"± {spread.std() / len(spread) ** 0.5:.3f}   ECE {calibration(sure, right):.3f}"
        )


def calibration(sure: np.ndarray, right: np.ndarray) -> float:
    """Expected calibration error in ten bins of the best label's probability."""
    bins = np.minimum((sure * 10).astype(int), 9)
    return float(
        sum(
            (bins == b).mean() * abs(sure[bins == b].mean() - right[bins == b].mean())
            for b in np.unique(bins)
        )
    )


def recorded(classifier: FastClassifier, folder: Path) -> None:
    rows = parquet.read_table(folder / "reasoning" / "queries.parquet").to_pylist()
    for task, label in (
        ("gsm", "mathematical_reasoning"),
        ("math-l5", "mathematical_reasoning"),
        ("crux", "code_understanding"),
    ):
        read = [classifier.read(row["prompt"]) for row in rows if row["task"] == task]
        share = np.mean([labels.top("task") == label for labels in read])
        print(
            f"{task:8} n {len(read)}  task {label} {share:.3f}  else {others(read, 'task', label)}"
        )
    rows = parquet.read_table(folder / "mmlu-pro" / "queries.parquet").to_pylist()
    read = [classifier.read(row["prompt"]) for row in rows]
    print(
        f"mmlu-pro n {len(read)}  format choice "
        f"{np.mean([r.top('format') == 'choice' for r in read]):.3f}"
    )
    subjects(read, [row["subtask"] for row in rows])
    rows = parquet.read_table(folder / "open-ended" / "queries.parquet").to_pylist()
    read = [classifier.read(row["prompt"]) for row in rows]
    print(f"open-ended n {len(read)}  tasks {Counter(r.top('task') for r in read).most_common(8)}")


def others(read: Sequence[Labels], axis: Axis, label: str) -> list[tuple[str, int]]:
    return Counter(r.top(axis) for r in read if r.top(axis) != label).most_common(3)


def subjects(read: Sequence[Labels], names: Sequence[str]) -> None:
    right = np.array([r.top("domain") in _SUBJECTS[s] for r, s in zip(read, names, strict=True)])
    known = np.array([s != "other" for s in names])
    print(f"  domain {right.mean():.3f}; without the subject 'other' {right[known].mean():.3f}")
    for subject, wanted in _SUBJECTS.items():
        mine = np.array([s == subject for s in names])
        wrong = Counter(
            r.top("domain")
            for r, m in zip(read, mine, strict=True)
            if m and r.top("domain") not in wanted
        )
        print(f"    {subject:17} {right[mine].mean():.2f}  else {wrong.most_common(2)}")


def speed(classifier: FastClassifier) -> None:
    text = (
        "A company has 120 employees who work 8 hours a day and are paid $25 per hour. If everyone "
        "gets a raise of 10 percent, how much more does the company spend on wages each month? "
    ) * 3
    spent = []
    for turn in range(600):
        started = time.perf_counter()
        classifier.read(f"{text}{turn}")
        spent.append(time.perf_counter() - started)
    words = len(text.split())
    print(
        f"speed: {np.median(spent[100:]) * 1e6:.0f} µs (best {min(spent) * 1e6:.0f}) "
        f"for {words} words"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--arrays", type=Path, help="arrays fitted with split='train'")
    parser.add_argument("--prompts", type=int, default=4000)
    args = parser.parse_args()
    arrays = fit(split="train") if args.arrays is None else dict(np.load(args.arrays))
    classifier = FastClassifier.from_arrays(arrays, default())
    held_out(classifier, args.prompts)
    if args.data is not None:
        recorded(classifier, args.data)
    speed(classifier)


if __name__ == "__main__":
    main()
