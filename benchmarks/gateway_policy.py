"""A fitted policy over fourteen mock models: what deciding costs, whatever it decides.

The questions are those of ``benchmarks/outcomes``. Each mock model is an ability drawn evenly: it
gives one of the recorded answers of the right score. Fitted once, into ``benchmarks/out``.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq

HERE = Path(__file__).parent
RECORDED = HERE / "outcomes"
FITTED = HERE / "out" / "gateway-policy"
MODELS = tuple(f"m{place:02}" for place in range(14))


def made() -> Path:
    """The policy's folder; fits it, which takes minutes, where there is none."""
    if not (FITTED / "manifest.json").exists():
        print("fitting a policy over fourteen mock models, once", file=sys.stderr)
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder))
            fit = [sys.executable, "-m", "emafusion", "fit", folder, "--out", str(FITTED)]
            subprocess.run(fit, check=True, stdout=subprocess.DEVNULL)
    return FITTED


def write(folder: Path) -> None:
    """The outcomes of the mock models, in the format that ``emafusion fit`` reads."""
    rng = np.random.default_rng(0)
    answers = pq.read_table(RECORDED / "responses.parquet").to_pylist()
    said = {(row["query_id"], row["model"]): row["response"] for row in answers}
    known: dict[str, dict[bool, list[dict[str, Any]]]] = defaultdict(lambda: {True: [], False: []})
    for row in pq.read_table(RECORDED / "outcomes.parquet").to_pylist():
        known[row["query_id"]][row["score"] >= 0.5].append(row)
    outcomes, responses = [], []
    for query, by_score in known.items():
        ease = len(by_score[True]) / (len(by_score[True]) + len(by_score[False]))
        for place, model in enumerate(MODELS):
            right = bool(rng.random() < 0.15 + 0.4 * ease + 0.4 * place / len(MODELS))
            among = by_score[right] or by_score[not right]
            row = among[int(rng.integers(len(among)))]
            price = 0.05 * 1.4**place
            cost = (row["prompt_tokens"] + 4 * row["completion_tokens"]) * price / 1e6
            outcomes.append({**row, "model": model, "cost_usd": cost})
            text = said[query, row["model"]]
            responses.append({"query_id": query, "model": model, "sample": 0, "response": text})
    queries = pq.read_table(RECORDED / "queries.parquet")
    asked = queries.filter(pa.compute.is_in(queries["query_id"], pa.array(list(known))))
    pq.write_table(asked, folder / "queries.parquet")
    pq.write_table(pa.Table.from_pylist(outcomes), folder / "outcomes.parquet")
    pq.write_table(pa.Table.from_pylist(responses), folder / "responses.parquet")
    prices = (f"{m},{0.05 * 1.4**n:.4f},{0.2 * 1.4**n:.4f}\n" for n, m in enumerate(MODELS))
    header = "model,usd_per_mtok_in,usd_per_mtok_out\n"
    (folder / "models.csv").write_text(header + "".join(prices))


if __name__ == "__main__":
    print(made())
