"""What comparing and rewriting drafts brought, recorded: the optional table beside the outcomes.

Knows the table's columns. What is learnt from it is :mod:`emafusion.learn.fit.second_tier`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from emafusion.errors import DataError, MissingExtraError
from emafusion.evaluate import files
from emafusion.plan.combining import ACTIONS, Action

FILE = "combinings.parquet"
COLUMNS = ("query_id", "action", "by", "panel", "score", "cost_usd")


class Combined(Struct, frozen=True, kw_only=True):
    """One recorded comparison or synthesis.

    ``score`` is the synthesis's mark, or the judge's P(the first of the panel is better);
    ``panel`` the models whose drafts were put to the model ``by``. ``score`` is ``None`` where the
    judge's answers could not be read. Costs are US dollars, ``latency_s`` seconds; ``text`` is what
    was written.
    """

    query: str
    action: Action
    by: str
    panel: tuple[str, ...]
    score: float | None
    cost_usd: float
    prompt_tokens: int = 0
    completion_tokens: int = 0
    latency_s: float = 0.0
    text: str = ""


def read(folder: Path) -> list[Combined]:
    """The comparisons and syntheses recorded in `folder`; none where it has no such table.

    Raises
    ------
    DataError
        The table is malformed.
    MissingExtraError
        pyarrow is not installed.
    """
    path = folder / FILE
    if not path.exists():
        return []
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as missing:
        raise MissingExtraError("pyarrow", "learn") from missing
    try:
        table: pa.Table = parquet.read_table(path)
    except (OSError, pa.ArrowInvalid) as wrong:
        raise DataError(f"cannot read {str(path)!r}: {wrong}") from wrong
    absent = [column for column in COLUMNS if column not in table.column_names]
    if absent:
        raise DataError(f"{str(path)!r} has no column {absent[0]!r}")
    return [_combined(row, path) for row in table.to_pylist()]


def write(folder: Path, rows: Sequence[Combined]) -> None:
    """Put `rows` into `folder`'s table, which is replaced whole.

    Raises
    ------
    StoreError
        It could not be written.
    """
    import pyarrow as pa

    columns = {
        "query_id": pa.array([row.query for row in rows], pa.string()),
        "action": pa.array([row.action for row in rows], pa.string()),
        "by": pa.array([row.by for row in rows], pa.string()),
        "panel": pa.array([list(row.panel) for row in rows], pa.list_(pa.string())),
        "score": pa.array([row.score for row in rows], pa.float64()),
        "cost_usd": pa.array([row.cost_usd for row in rows], pa.float64()),
        "prompt_tokens": pa.array([row.prompt_tokens for row in rows], pa.int64()),
        "completion_tokens": pa.array([row.completion_tokens for row in rows], pa.int64()),
        "latency_s": pa.array([row.latency_s for row in rows], pa.float64()),
        "text": pa.array([row.text for row in rows], pa.string()),
    }
    files.write(folder / FILE, files.parquet(pa.table(columns)), parents=True)


def _combined(row: Mapping[str, object], path: Path) -> Combined:
    """A row of the table; raises ``DataError`` for one that no policy could be learnt from."""
    action, panel, score = row["action"], row["panel"], row["score"]
    known = next((one for one in ACTIONS if one == action), None)
    if known is None or not isinstance(panel, list):
        raise DataError(
            f"{str(path)!r}: action {action!r} on panel {panel!r}; an action is one of "
            f"{', '.join(ACTIONS)} and a panel a list of models"
        )
    marked = None if score is None else float(str(score))
    if marked is not None and not 0.0 <= marked <= 1.0:
        raise DataError(f"{str(path)!r}: score {marked:g}; scores go from 0 to 1")
    return Combined(
        query=str(row["query_id"]),
        action=known,
        by=str(row["by"]),
        panel=tuple(str(name) for name in panel),
        score=marked,
        cost_usd=float(str(row["cost_usd"])),
        prompt_tokens=int(str(row.get("prompt_tokens") or 0)),
        completion_tokens=int(str(row.get("completion_tokens") or 0)),
        latency_s=float(str(row.get("latency_s") or 0.0)),
        text=str(row.get("text") or ""),
    )
