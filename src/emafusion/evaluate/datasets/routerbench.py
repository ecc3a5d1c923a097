"""RouterBench's published table (arXiv 2403.12031, §3), exported as CSV or Parquet.

One row a prompt: ``sample_id``, ``prompt``, ``eval_name``, then for every model its score under
the model's own name, ``<model>|model_response`` and ``<model>|total_cost``. It never opens a
pickle: to unpickle a file is to run it.
"""

from __future__ import annotations

import ast
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from emafusion.catalog.tokens import TYPICAL_SHARE, count
from emafusion.errors import DataError, MissingExtraError
from emafusion.evaluate.datasets.tables import Query, Reply, Tables, distinct, dollars, unit

if TYPE_CHECKING:
    import pyarrow as pa

NEEDED: Final = ("sample_id", "prompt", "eval_name")
COST: Final = "|total_cost"
RESPONSE: Final = "|model_response"
LONGEST_ROW: Final = 1 << 26
"""Bytes: the CSV reader takes this much at a time, and no row may be longer."""

Row = Mapping[str, object]


def read(path: Path) -> Tables:
    """The table in `path`, a ``.csv`` or ``.parquet`` file.

    The file has no token counts; they are estimated from the texts. A model without a score on a
    row did not reply.

    Raises
    ------
    DataError
        It is a pickle or another kind of file, a column is missing, or a cell is no score or cost;
        the message names it.
    MissingExtraError
        pyarrow is not installed.
    """
    table = _table(path)
    models = models_in(table.column_names, path)
    rows: list[Row] = table.to_pylist()
    tasks = _tasks([str(row["eval_name"]) for row in rows])
    taken: dict[str, str] = {}
    queries: list[Query] = []
    replies: list[Reply] = []
    for number, row in enumerate(rows, start=1):
        where = f"{str(path)!r}, row {number} (sample {row['sample_id']!r})"
        prompt = text(row["prompt"])
        if not prompt.strip():
            raise DataError(f"{where} has no prompt")
        name = distinct(str(row["sample_id"]), prompt, taken)
        if name in taken:
            continue
        taken[name] = prompt
        subtask = str(row["eval_name"])
        query = Query(query_id=name, task=tasks[subtask], subtask=subtask, prompt=prompt)
        queries.append(query)
        replies += _replies(row, models, query, where=where)
    return Tables(queries=tuple(queries), replies=tuple(replies))


def models_in(columns: Sequence[str], path: Path) -> tuple[str, ...]:
    """The models that `columns` name; raises :class:`DataError` where it is no such table."""
    models = tuple(name.removesuffix(COST) for name in columns if name.endswith(COST))
    absent = [name for name in (*NEEDED, *models) if name not in columns]
    if absent:
        raise DataError(f"{str(path)!r} has no column {absent[0]!r}; is it RouterBench's table?")
    if not models:
        raise DataError(f"{str(path)!r} has no column '<model>{COST}', so no model's outcomes")
    return models


def columns(path: Path) -> Sequence[str]:
    """The names of the columns in `path`; raises :class:`DataError`."""
    import pyarrow as pa
    from pyarrow import csv, parquet

    try:
        if path.suffix == ".parquet":
            names: list[str] = parquet.read_schema(path).names
        else:
            names = csv.open_csv(
                path, parse_options=_parsing(), read_options=_reading()
            ).schema.names
    except (OSError, pa.ArrowInvalid) as wrong:
        raise DataError(f"cannot read {str(path)!r}: {wrong}") from wrong
    return names


def text(cell: object) -> str:
    """What `cell` says: the published table holds texts as printed Python lists of strings."""
    said = "" if cell is None else str(cell)
    if not (said.startswith("[") and said.endswith("]")):
        return said
    try:
        parts = ast.literal_eval(said)
    except (ValueError, SyntaxError):
        return said
    if not parts or not all(isinstance(part, str) for part in parts):
        return said
    return "\n\n".join(parts)


def _replies(row: Row, models: Sequence[str], query: Query, *, where: str) -> Iterator[Reply]:
    asked = _tokens(query.prompt)
    for model in models:
        here = f"{where}, model {model!r}"
        score, cost = _number(row[model], here), _number(row[model + COST], here)
        if score is None or cost is None:
            continue
        cell = row.get(model + RESPONSE)
        response = None if cell is None else text(cell)
        yield Reply(
            query_id=query.query_id,
            model=model,
            score=unit(score, here),
            cost_usd=dollars(cost, here),
            prompt_tokens=asked,
            completion_tokens=None if response is None else _tokens(response),
            response=response,
        )


def _tokens(said: str) -> int:
    return max(1, round(TYPICAL_SHARE * count(said)))


def _number(cell: object, where: str) -> float | None:
    if cell is None or cell == "":
        return None
    try:
        value = float({"True": "1", "False": "0"}.get(str(cell), str(cell)))
    except ValueError as wrong:
        raise DataError(f"{where}: {str(cell)[:40]!r} is not a number") from wrong
    return None if math.isnan(value) else value


def _tasks(names: Sequence[str]) -> dict[str, str]:
    """The task of each evaluation: its first word where several share it, as MMLU's subjects do."""
    evaluations = sorted(set(names))
    first = {name: name.split("-", 1)[0] for name in evaluations}
    shared = Counter(first.values())
    return {name: first[name] if shared[first[name]] > 1 else name for name in evaluations}


def _table(path: Path) -> pa.Table:
    if path.suffix in {".pkl", ".pickle"}:
        target = str(path.with_suffix(".csv"))
        raise DataError(
            f"{str(path)!r} is a pickle, and to open a pickle is to run it; if you trust its "
            "origin, convert it yourself, then give the new file: "
            f'python -c "import pandas; pandas.read_pickle({str(path)!r})'
            f'.to_csv({target!r}, index=False)"'
        )
    try:
        import pyarrow as pa
        from pyarrow import csv, parquet
    except ImportError as missing:
        raise MissingExtraError("pyarrow", "learn") from missing
    wanted = _wanted(columns(path), path)
    try:
        if path.suffix == ".parquet":
            return parquet.read_table(path, columns=wanted)
        convert = csv.ConvertOptions(
            include_columns=wanted,
            column_types=dict.fromkeys(wanted, pa.string()),
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            null_values=["", "nan", "NaN"],
        )
        return csv.read_csv(
            path, read_options=_reading(), parse_options=_parsing(), convert_options=convert
        )
    except (OSError, pa.ArrowInvalid) as wrong:
        raise DataError(f"cannot read {str(path)!r}: {wrong}") from wrong


def _wanted(names: Sequence[str], path: Path) -> list[str]:
    models = models_in(names, path)
    each = [column for model in models for column in (model, model + COST, model + RESPONSE)]
    return [*NEEDED, *(column for column in each if column in names)]


def _reading() -> object:
    from pyarrow import csv

    return csv.ReadOptions(block_size=LONGEST_ROW)


def _parsing() -> object:
    from pyarrow import csv

    return csv.ParseOptions(newlines_in_values=True)
