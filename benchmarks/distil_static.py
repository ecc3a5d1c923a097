"""Makes ``encoders/static.npz``: word vectors whose weighted mean imitates MiniLM's vectors.

Run it with a folder that holds MiniLM's ``model.onnx`` and ``tokenizer.json`` and a text file with
one training sentence a line (the shipped table used 60,000 glosses of WordNet 3.0's synsets, drawn
at random, as "words: gloss", and 3,000 prompts of learn.taxonomy_prompts, seed 7, shorter than 400
characters):

    python benchmarks/distil_static.py MINILM_FOLDER SENTENCES.txt src/emafusion/encoders/static.npz

1. Each Latin-script piece of the tokenizer's vocabulary is encoded alone; principal components
   reduce 384 to ``--dim`` dimensions.
2. A piece's vector is scaled by its smooth inverse frequency. The vocabulary is ordered by
   frequency, so the rank and Zipf's law give the frequency (no corpus is needed for it).
3. The table then moves so that summed vectors match the teacher's sentence vectors: ridge
   regression toward the table of step 2, solved by conjugate gradients.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from emafusion.encoders import MiniLM, static

Floats = NDArray[np.float32]
_SIF = 3e-4
_HELD_OUT = 2000


def vocabulary(folder: Path) -> list[str]:
    pieces: dict[str, int] = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    ordered = sorted(pieces, key=pieces.__getitem__)
    return [p for p in ordered if p.removeprefix("##").isalpha() and all(ord(c) < 0x250 for c in p)]


def weights(count: int) -> Floats:
    """Smooth inverse frequency by Zipf's law over the rank: a / (a + p)."""
    frequency = 1.0 / (np.arange(count) + 2.7)
    frequency /= frequency.sum()
    return (_SIF / (_SIF + frequency)).astype(np.float32)


def counts(texts: list[str], table: static.Table) -> csr_matrix:
    """Occurrences of each piece in each text, rows of unit length."""
    encoder = static.Static()
    encoder._table = table
    rows = [encoder.rows(text) for text in texts]
    index = np.repeat(np.arange(len(rows)), [len(r) for r in rows])
    columns = np.array([c for r in rows for c in r], dtype=np.int64)
    values = np.array([1.0 / max(1, len(r)) ** 0.5 for r in rows for _ in r], dtype=np.float32)
    return csr_matrix((values, (index, columns)), shape=(len(texts), len(table.rows)))


def regress(design: csr_matrix, target: Floats, start: Floats, ridge: float, steps: int) -> Floats:
    """argmin |design E − target|² + ridge |E − start|², by conjugate gradients."""
    table = start.copy()
    residual = design.T @ (target - design @ table)
    direction = residual.copy()
    power = (residual**2).sum(axis=0)
    for _ in range(steps):
        curved = design.T @ (design @ direction) + ridge * direction
        step = power / np.maximum((direction * curved).sum(axis=0), 1e-12)
        table += step * direction
        residual -= step * curved
        fresh = (residual**2).sum(axis=0)
        direction = residual + fresh / np.maximum(power, 1e-12) * direction
        power = fresh
    return table.astype(np.float32)


def cosine(design: csr_matrix, table: Floats, target: Floats) -> float:
    guess = design @ table
    norms = np.linalg.norm(guess, axis=1) * np.linalg.norm(target, axis=1)
    return float(((guess * target).sum(axis=1) / np.maximum(norms, 1e-9)).mean())


def teacher(folder: Path, texts: list[str], cache: Path | None) -> Floats:
    if cache is not None and cache.exists():
        return np.load(cache).astype(np.float32)
    vectors = MiniLM(folder, max_tokens=64, batch=64).encode(texts)
    if cache is not None:
        np.save(cache, vectors.astype(np.float16))
    return vectors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("sentences", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--ridge", type=float, default=1.0)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--cache", type=Path, help="keep the teacher's vectors here (.npy)")
    args = parser.parse_args()
    started = time.monotonic()
    pieces = vocabulary(args.folder)
    alone = teacher(args.folder, [p.removeprefix("##") for p in pieces], None)
    texts = args.sentences.read_text().splitlines()
    wanted = teacher(args.folder, texts, args.cache)
    print(f"{len(pieces)} pieces, {len(texts)} sentences: {time.monotonic() - started:.0f} s")
    axes = np.linalg.svd(wanted[:20_000], full_matrices=False)[2][: args.dim].T
    start = (alone @ axes) * weights(len(pieces))[:, None]
    target = wanted @ axes
    shell = static.Table(
        name="",
        rows={p: i for i, p in enumerate(pieces)},
        vectors=np.zeros((1, 1), np.int8),
        scales=np.zeros(1, np.float32),
    )
    design = counts(texts, shell)
    train, held = design[_HELD_OUT:], design[:_HELD_OUT]
    fit = start * float((target * (design @ start)).sum() / ((design @ start) ** 2).sum())
    print(
        "cosine to the teacher, held-out sentences: mean of SIF vectors "
        f"{cosine(held, fit, target[:_HELD_OUT]):.4f}"
    )
    table = regress(train, target[_HELD_OUT:], fit, args.ridge, args.steps)
    print(
        f"after regression {cosine(held, table, target[:_HELD_OUT]):.4f} "
        f"(train {cosine(train, table, target[_HELD_OUT:]):.4f})"
    )
    static.save(args.out, pieces, table, name=f"static-{args.dim}-1")
    print(f"{args.out}: {args.out.stat().st_size / 1e6:.2f} MB, {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
