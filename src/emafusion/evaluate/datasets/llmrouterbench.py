"""LLMRouterBench's published results (arXiv 2601.07206): one JSON file a dataset and model.

``bench/<dataset>/<split>/<model>/<dataset>-<split>-<model>-<yyyymmdd>_<hhmmss>.json`` holds
``dataset_name``, ``split``, ``model_name``, ``demo`` and ``records``. Like the benchmark's own
loader it takes the newest file of each dataset, split and model, leaves demo runs out, and counts
a reply that was never scored as wrong.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final, TypeVar

import msgspec
from msgspec import Struct, field

from emafusion.errors import DataError
from emafusion.evaluate.datasets.tables import Query, Reply, Tables, distinct, dollars, unit

STAMP: Final = re.compile(r"(\d{8})_(\d{6})\.json$")

Cell = tuple[str, str, str]


class Record(Struct, frozen=True, kw_only=True):
    """One reply as the benchmark writes it; fields not named here are skipped."""

    index: int | str
    prompt: msgspec.Raw
    score: float | bool | None = None
    origin_query: msgspec.Raw = msgspec.Raw(b'""')
    ground_truth: msgspec.Raw = msgspec.Raw(b"null")
    prediction: msgspec.Raw = msgspec.Raw(b"null")
    raw_output: msgspec.Raw = msgspec.Raw(b"null")
    prompt_tokens: int | float | None = None
    completion_tokens: int | float | None = None
    cost: float | None = None


class Head(Struct, frozen=True, kw_only=True):
    """What a results file is about."""

    dataset_name: str
    split: str
    model_name: str
    demo: bool = False

    @property
    def cell(self) -> Cell:
        """Dataset, split and model: what there is one newest file of."""
        return self.dataset_name, self.split, self.model_name


class Results(Head, frozen=True, kw_only=True):
    """A results file."""

    records: tuple[Record, ...] = field(default=())


Part = TypeVar("Part", bound=Head)


def read(folder: Path) -> Tables:
    """The results below `folder`, at any depth.

    Questions that no model was scored on are left out: nobody marked them.

    Raises
    ------
    DataError
        There are none, a file is not in the format, or a score or cost is out of range; the
        message names it.
    """
    gathered = _Gathered()
    for path in newest(folder):
        gathered.add(_decode(path, Results), path)
    if not gathered.queries:
        raise DataError(f"no scored results of LLMRouterBench below {str(folder)!r}")
    scored = gathered.scored
    return Tables(
        queries=tuple(q for name, q in sorted(gathered.queries.items()) if name in scored),
        replies=tuple(
            reply for _, reply in sorted(gathered.replies.items()) if reply.query_id in scored
        ),
    )


def newest(folder: Path) -> list[Path]:
    """The newest results file of each dataset, split and model, demo runs left out."""
    best: dict[Cell, tuple[str, str, Path]] = {}
    for path in sorted(folder.rglob("*.json")):
        head = _decode(path, Head)
        if not head.demo:
            rank = (_stamp(path), path.name, path)
            best[head.cell] = max(best.get(head.cell, rank), rank)
    return [best[cell][2] for cell in sorted(best)]


def is_results(path: Path) -> bool:
    """Whether `path` is a results file."""
    try:
        _decode(path, Head)
    except DataError:
        return False
    return True


class _Gathered:
    """Queries and replies so far; a failed or empty record brings no query of its own."""

    def __init__(self) -> None:
        self.queries: dict[str, Query] = {}
        self.replies: dict[tuple[str, str], Reply] = {}
        self.scored: set[str] = set()
        self._asked: dict[str, str] = {}

    def add(self, results: Results, path: Path) -> None:
        for record in results.records:
            where = f"{str(path)!r}, record {record.index!r}"
            prompt = said(record.prompt, where)
            if not prompt.strip():
                continue
            asked = said(record.origin_query, where) or prompt
            base = f"{results.dataset_name}/{results.split}/{record.index}"
            name = distinct(base, asked, self._asked)
            if name not in self.queries:
                self._asked[name] = asked
                self.queries[name] = _query(name, prompt, results, record=record, where=where)
            reply = _reply(name, results.model_name, record, where=where)
            self.replies[name, reply.model] = reply
            if record.score is not None:
                self.scored.add(name)


def _query(name: str, prompt: str, results: Head, *, record: Record, where: str) -> Query:
    return Query(
        query_id=name,
        task=results.dataset_name,
        subtask=f"{results.dataset_name}/{results.split}",
        prompt=prompt,
        reference=said(record.ground_truth, where) or None,
    )


def _reply(name: str, model: str, record: Record, *, where: str) -> Reply:
    """The reply that `record` tells of; a call that failed said nothing.

    The collector writes its own error message where a failed call's text would be.
    """
    failed = record.score is None and not record.completion_tokens
    return Reply(
        query_id=name,
        model=model,
        score=unit(float(record.score or 0.0), where),
        cost_usd=dollars(float(record.cost or 0.0), where),
        answer=None if failed else said(record.prediction, where) or None,
        prompt_tokens=_count(record.prompt_tokens),
        completion_tokens=_count(record.completion_tokens),
        response="" if failed else said(record.raw_output, where),
    )


def _count(tokens: float | None) -> int | None:
    return None if tokens is None else int(tokens)


def said(raw: msgspec.Raw, where: str) -> str:
    """`raw` as text: a string as it is, nothing for null, anything else as JSON."""
    try:
        value = msgspec.json.decode(raw)
    except msgspec.DecodeError as wrong:
        raise DataError(f"{where}: {wrong}") from wrong
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _stamp(path: Path) -> str:
    found = STAMP.search(path.name)
    return "" if found is None else found.group(1) + found.group(2)


def _decode(path: Path, kind: type[Part]) -> Part:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError) as wrong:
        raise DataError(
            f"{str(path)!r} is not a results file of LLMRouterBench: {wrong}"
        ) from wrong
