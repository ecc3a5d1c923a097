"""A folder of recorded outcomes as arrays and drafts. Knows DESIGN §5's format, learns nothing."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from emafusion.errors import DataError, MissingExtraError
from emafusion.types import Completion, Draft, Usage

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

Row = Mapping[str, object]
LONGEST_LOGPROBS = 4096
COLUMNS = ("query_id", "model", "score", "cost_usd", "prompt_tokens", "completion_tokens")


class Recorded(Struct, frozen=True, kw_only=True):
    """n queries × m models: every array has that shape; a missing outcome is NaN.

    ``seconds`` are latencies, ``drafts`` what each model said, in the order of ``queries`` and
    ``models``; ``None`` where it was not asked.
    """

    queries: tuple[str, ...]
    prompts: tuple[str, ...]
    splits: tuple[str, ...]
    tasks: tuple[str, ...]
    models: tuple[str, ...]
    scores: NDArray[np.float64]
    costs: NDArray[np.float64]
    prompt_tokens: NDArray[np.float64]
    tokens: NDArray[np.float64]
    seconds: NDArray[np.float64]
    drafts: tuple[tuple[Draft | None, ...], ...]
    digest: str

    def where(self, splits: Sequence[str]) -> Recorded:
        """The queries of `splits` alone."""
        return self.rows([place for place, split in enumerate(self.splits) if split in splits])

    def rows(self, keep: Sequence[int]) -> Recorded:
        """The queries at the positions `keep`."""
        import numpy as np

        rows = np.array(keep, dtype=int)
        return Recorded(
            queries=tuple(self.queries[i] for i in keep),
            prompts=tuple(self.prompts[i] for i in keep),
            splits=tuple(self.splits[i] for i in keep),
            tasks=tuple(self.tasks[i] for i in keep),
            models=self.models,
            scores=self.scores[rows],
            costs=self.costs[rows],
            prompt_tokens=self.prompt_tokens[rows],
            tokens=self.tokens[rows],
            seconds=self.seconds[rows],
            drafts=tuple(self.drafts[i] for i in keep),
            digest=self.digest,
        )

    def columns(self, keep: Sequence[int]) -> Recorded:
        """The models at the positions `keep`, in that order."""
        import numpy as np

        places = np.array(keep, dtype=int)
        return Recorded(
            queries=self.queries,
            prompts=self.prompts,
            splits=self.splits,
            tasks=self.tasks,
            models=tuple(self.models[i] for i in keep),
            scores=self.scores[:, places],
            costs=self.costs[:, places],
            prompt_tokens=self.prompt_tokens[:, places],
            tokens=self.tokens[:, places],
            seconds=self.seconds[:, places],
            drafts=tuple(tuple(row[i] for i in keep) for row in self.drafts),
            digest=self.digest,
        )


def joined(first: Recorded, second: Recorded) -> Recorded:
    """The queries of both, and the models of the first; what was not asked stays missing.

    A query that both have is taken from the first. Equal prompts are one query, whatever the two
    call it: a prompt held out in the first is not learnt from in the second.
    """
    import numpy as np

    named, asked = set(first.queries), set(first.prompts)
    fresh = second.rows(
        [
            place
            for place, (query, prompt) in enumerate(
                zip(second.queries, second.prompts, strict=True)
            )
            if query not in named and prompt not in asked
        ]
    )
    places = [fresh.models.index(name) if name in fresh.models else -1 for name in first.models]

    def below(upper: NDArray[np.float64], lower: NDArray[np.float64]) -> NDArray[np.float64]:
        missing = np.full((len(lower), 1), np.nan)
        return np.vstack([upper, np.hstack([lower, missing])[:, places]])

    drafts = tuple(tuple((*row, None)[place] for place in places) for row in fresh.drafts)
    return Recorded(
        queries=(*first.queries, *fresh.queries),
        prompts=(*first.prompts, *fresh.prompts),
        splits=(*first.splits, *fresh.splits),
        tasks=(*first.tasks, *fresh.tasks),
        models=first.models,
        scores=below(first.scores, fresh.scores),
        costs=below(first.costs, fresh.costs),
        prompt_tokens=below(first.prompt_tokens, fresh.prompt_tokens),
        tokens=below(first.tokens, fresh.tokens),
        seconds=below(first.seconds, fresh.seconds),
        drafts=(*first.drafts, *drafts),
        digest=hashlib.sha256(f"{first.digest}{second.digest}".encode()).hexdigest(),
    )


def read(folder: Path) -> Recorded:
    """The outcomes in `folder`.

    Raises
    ------
    DataError
        A file or a column is missing, or an outcome's query is unknown.
    MissingExtraError
        pyarrow is not installed.
    """
    import numpy as np

    queries = _table(folder, "queries", ("query_id", "prompt", "split"))
    outcomes = _table(folder, "outcomes", COLUMNS)
    texts = _responses(folder)
    # Folders that `collect` wrote name a grader: their answers serve readers, and a live engine
    # would extract its own.
    ours = bool(queries) and "grader" in queries[0] and bool(texts)
    places = {str(row["query_id"]): place for place, row in enumerate(queries)}
    _check_queries(folder, queries)
    models = tuple(sorted({str(row["model"]) for row in outcomes}))
    shape = (len(queries), len(models))
    names = ("score", "cost_usd", "prompt_tokens", "completion_tokens", "latency_s")
    arrays = {name: np.full(shape, np.nan) for name in names}
    drafts: list[list[Draft | None]] = [[None] * len(models) for _ in queries]
    for row in outcomes:
        if row.get("sample"):
            continue
        query, model = str(row["query_id"]), str(row["model"])
        if query not in places:
            raise DataError(f"outcomes.parquet in {str(folder)!r} names unknown query {query!r}")
        at = places[query], models.index(model)
        if drafts[at[0]][at[1]] is not None:
            raise DataError(
                f"outcomes.parquet in {str(folder)!r} has two outcomes of {model!r} for "
                f"{query!r}; number them in a column 'sample'"
            )
        for name, array in arrays.items():
            array[at] = _number(row, name, math.nan)
        _check_score(folder, row)
        drafts[at[0]][at[1]] = draft(row, texts.get((query, model)), extracted=not ours)
    return Recorded(
        queries=tuple(places),
        prompts=tuple(str(row["prompt"]) for row in queries),
        splits=tuple(str(row["split"]) for row in queries),
        tasks=tuple(str(row.get("task", "")) for row in queries),
        models=models,
        scores=arrays["score"],
        costs=arrays["cost_usd"],
        prompt_tokens=arrays["prompt_tokens"],
        tokens=arrays["completion_tokens"],
        seconds=arrays["latency_s"],
        drafts=tuple(tuple(row) for row in drafts),
        digest=_digest(folder),
    )


def _check_queries(folder: Path, queries: Sequence[Row]) -> None:
    if len({str(row["query_id"]) for row in queries}) < len(queries):
        raise DataError(f"queries.parquet in {str(folder)!r} names a query_id twice")
    if any(row["prompt"] is None for row in queries):
        raise DataError(f"queries.parquet in {str(folder)!r} has a query without a prompt")


def _check_score(folder: Path, row: Row) -> None:
    score = _number(row, "score", 0.0)
    if not 0.0 <= score <= 1.0:
        raise DataError(
            f"outcomes.parquet in {str(folder)!r} scores {row['model']!r} {score:g} on "
            f"{row['query_id']!r}; scores go from 0 to 1"
        )


def draft(row: Row, text: str | None, *, extracted: bool = False) -> Draft:
    """The draft that an outcome's row records; without its text, the extracted answer stands in.

    `extracted` keeps the recorded answer beside the text, before any extraction of our own.
    """
    tokens = int(_number(row, "completion_tokens", 0.0))
    answer = row.get("answer")
    return Draft(
        model=str(row["model"]),
        completion=Completion(
            text=text if text is not None else str(answer or ""),
            usage=Usage(
                prompt_tokens=int(_number(row, "prompt_tokens", 0.0)), completion_tokens=tokens
            ),
            finish_reason=str(row.get("finish_reason") or "stop"),
            logprobs=_logprobs(row, tokens),
            answer=str(answer) if extracted and answer is not None else None,
        ),
        cost_usd=_number(row, "cost_usd", 0.0),
        latency_s=_number(row, "latency_s", 0.0),
    )


def _logprobs(row: Row, tokens: int) -> tuple[float, ...] | None:
    """Log-probabilities with the recorded mean and minimum: all that the judges read of them."""
    if row.get("mean_logprob") is None:
        return None
    mean, low = _number(row, "mean_logprob", 0.0), _number(row, "min_logprob", 0.0)
    count = max(min(tokens, LONGEST_LOGPROBS), 1)
    if count == 1:
        return (mean,)
    return (low, *([(mean * count - low) / (count - 1)] * (count - 1)))


def _number(row: Row, name: str, default: float) -> float:
    value = row.get(name)
    return default if value is None else float(value if isinstance(value, bool) else str(value))


def _responses(folder: Path) -> dict[tuple[str, str], str]:
    if not (folder / "responses.parquet").exists():
        return {}
    rows = _table(folder, "responses", ("query_id", "model", "response"))
    return {
        (str(row["query_id"]), str(row["model"])): str(row["response"] or "")
        for row in rows
        if not row.get("sample")
    }


def _table(folder: Path, name: str, columns: Sequence[str]) -> list[dict[str, object]]:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as missing:
        raise MissingExtraError("pyarrow", "learn") from missing
    path = folder / f"{name}.parquet"
    try:
        table: pa.Table = parquet.read_table(path)
    except (OSError, pa.ArrowInvalid) as wrong:
        raise DataError(f"cannot read {str(path)!r}: {wrong}") from wrong
    absent = [column for column in columns if column not in table.column_names]
    if absent:
        raise DataError(f"{str(path)!r} has no column {absent[0]!r}")
    rows: list[dict[str, object]] = table.to_pylist()
    return rows


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for name in ("queries", "outcomes", "responses"):
        path = folder / f"{name}.parquet"
        digest.update(path.read_bytes() if path.exists() else b"")
    return digest.hexdigest()
