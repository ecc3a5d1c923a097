"""Which encoder routes best per microsecond, on recorded outcomes.

    python benchmarks/encoders.py DATA_FOLDER [--minilm FOLDER] [--limit N]

DATA_FOLDER holds ``queries.parquet`` and ``outcomes.parquet``. For each encoder one logistic
regression per model predicts P(good answer) from [vector; surface features] of the prompt alone: it
is fitted on the ``train`` rows, its strength and the cost's weight are free of the ``val`` rows,
and log-loss, AUC and the accuracy–cost area (AIQ) of routing by argmax(q − λ·c) are measured there.
Differences are paired by query, with their standard errors, against surface features alone.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pyarrow import parquet
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from emafusion.encoders import Hashing, MiniLM, Static, surface
from emafusion.protocols import Encoder

Floats = NDArray[np.float64]
_STRENGTHS = (0.0003, 0.003, 0.03)
_LAMBDAS = np.concatenate([[0.0], np.logspace(-1, 4, 60)])
_RESAMPLES = 300


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Scores and costs of each query (row) and model (column), with prompts and splits."""

    prompts: list[str]
    train: NDArray[np.bool_]
    val: NDArray[np.bool_]
    scores: Floats
    costs: Floats


def load(folder: Path, limit: int) -> Outcomes:
    queries = parquet.read_table(folder / "queries.parquet").to_pylist()
    kept = [q for q in queries if q["split"] == "train"][:limit]
    kept += [q for q in queries if q["split"] == "val"]
    row = {q["query_id"]: i for i, q in enumerate(kept)}
    table = parquet.read_table(
        folder / "outcomes.parquet", columns=["query_id", "model", "score", "cost_usd"]
    ).to_pylist()
    column = {m: j for j, m in enumerate(sorted({r["model"] for r in table}))}
    scores = np.full((len(kept), len(column)), np.nan)
    costs = np.full_like(scores, np.nan)
    for r in table:
        if r["query_id"] in row:
            scores[row[r["query_id"]], column[r["model"]]] = r["score"]
            costs[row[r["query_id"]], column[r["model"]]] = r["cost_usd"]
    full = ~np.isnan(scores).any(axis=1)
    split = np.array([q["split"] for q in kept])
    return Outcomes(
        [q["prompt"] for q in kept],
        (split == "train") & full,
        (split == "val") & full,
        scores,
        costs,
    )


def predicted(inputs: Floats, data: Outcomes) -> Floats:
    """P(good answer) for the val rows; the strength is chosen on a fifth of the train rows."""
    scaled = StandardScaler().fit(inputs[data.train])
    train, val = scaled.transform(inputs[data.train]), scaled.transform(inputs[data.val])
    truth = data.scores[data.train] > 0.5
    held = np.arange(len(train)) % 5 == 0
    losses = []
    for strength in _STRENGTHS:
        guess = fitted(train[~held], truth[~held], train[held], strength)
        losses.append(log_loss(guess, truth[held]).mean())
    return fitted(train, truth, val, _STRENGTHS[int(np.argmin(losses))])


def fitted(train: Floats, truth: NDArray[np.bool_], rows: Floats, strength: float) -> Floats:
    columns = []
    for model in truth.T:
        regression = LogisticRegression(C=strength, max_iter=60, tol=1e-3).fit(train, model)
        columns.append(regression.predict_proba(rows)[:, 1])
    return np.stack(columns, axis=1)


def log_loss(guess: Floats, truth: NDArray[np.bool_]) -> Floats:
    right = np.where(truth, guess, 1 - guess)
    return -np.log(np.clip(right, 1e-6, 1.0))


def choices(guess: Floats, data: Outcomes) -> NDArray[np.int64]:
    """The model chosen for each val row at each λ; costs are the train rows' means."""
    cost = data.costs[data.train].mean(axis=0)
    return np.stack([(guess - weight * cost).argmax(axis=1) for weight in _LAMBDAS])


def area(accuracy: Floats, cost: Floats, reach: float) -> float:
    """Area under the non-decreasing convex hull of the points and the origin, over [0, reach]."""
    hull = [(0.0, 0.0)]
    for x, y in sorted(zip(cost.tolist(), accuracy.tolist(), strict=True)):
        if y <= hull[-1][1] or x > reach:
            continue
        while len(hull) > 1 and (hull[-1][1] - hull[-2][1]) * (x - hull[-1][0]) <= (
            y - hull[-1][1]
        ) * (hull[-1][0] - hull[-2][0]):
            hull.pop()
        hull.append((x, y))
    hull.append((reach, hull[-1][1]))
    xs, ys = np.array(hull).T
    return float(np.trapezoid(ys, xs) / reach)


def areas(picked: NDArray[np.int64], data: Outcomes, rows: NDArray[np.int64]) -> float:
    scores, costs = data.scores[data.val][rows], data.costs[data.val][rows]
    index = np.arange(len(rows))
    got = [(scores[index, p[rows]].mean(), costs[index, p[rows]].mean()) for p in picked]
    best = int(data.scores[data.train].mean(axis=0).argmax())
    accuracy, cost = np.array(got).T
    return area(accuracy, cost, 2 * float(costs[:, best].mean()))


def microseconds(encode: Encoder | None, prompts: list[str]) -> float:
    """Median time to read one prompt, in microseconds, over a sample of `prompts` read singly."""
    sample = prompts[:: max(1, len(prompts) // 100)][:100]
    spent = []
    for text in [*sample[:10], *sample]:
        started = time.perf_counter()
        if encode is None:
            surface.features([text])
        else:
            encode.encode([text])
        spent.append(time.perf_counter() - started)
    return float(np.median(spent[10:]) * 1e6)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--minilm", type=Path, help="folder with model.onnx and tokenizer.json")
    parser.add_argument("--limit", type=int, default=10**9, help="train rows to use")
    args = parser.parse_args()
    data = load(args.data, args.limit)
    encoders: dict[str, Encoder | None] = {"surface only": None, "hashing-128": Hashing(128)}
    encoders |= {"hashing-512": Hashing(512), "static": Static()}
    if args.minilm:
        encoders["minilm"] = MiniLM(args.minilm)
    shape = surface.features(data.prompts).astype(np.float64)
    truth = data.scores[data.val] > 0.5
    everyone = np.arange(int(data.val.sum()))
    draws = np.random.default_rng(0).integers(0, len(everyone), (_RESAMPLES, len(everyone)))
    print(f"{args.data.name}: {int(data.train.sum())} train, {len(everyone)} val queries")
    print(
        f"{'encoder':14} {'µs/text':>8} {'log-loss':>9} {'Δ ± s.e.':>18} {'AUC':>6} "
        f"{'AIQ':>7} {'Δ ± s.e.':>18}"
    )
    base: tuple[Floats, Floats] | None = None
    for name, encoder in encoders.items():
        inputs = shape
        if encoder is not None:
            inputs = np.hstack([encoder.encode(data.prompts) * encoder.dim**0.5, shape])
        guess = predicted(inputs, data)
        losses = log_loss(guess, truth).mean(axis=1)
        auc = np.mean([roc_auc_score(truth[:, j], guess[:, j]) for j in range(truth.shape[1])])
        picked = choices(guess, data)
        resampled = np.array([areas(picked, data, rows) for rows in draws])
        base = base or (losses, resampled)
        loss_gap, area_gap = losses - base[0], resampled - base[1]
        error = loss_gap.std() / len(loss_gap) ** 0.5
        print(
            f"{name:14} {microseconds(encoder, data.prompts):8.0f} {losses.mean():9.4f} "
            f"{loss_gap.mean():+9.4f} ±{error:.4f} {auc:6.3f} {areas(picked, data, everyone):7.4f} "
            f"{area_gap.mean():+9.4f} ±{area_gap.std():.4f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
