"""Takes out of a folder of outcomes what is about a person: questions, answers, opinions.

Knows the folder's files and which of their rows belong together; what is about whom, it is told.
Each file is replaced at once or not at all. Whoever is killed on the way begins again: nothing is
known from what was removed alone.
"""

from __future__ import annotations

import json
import os
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec
from msgspec import Struct

from emafusion.artefacts.lock import held
from emafusion.errors import DataError
from emafusion.evaluate import files
from emafusion.learn import contents
from emafusion.learn.collection import spent_of
from emafusion.learn.interchange import require_pyarrow
from emafusion.learn.journal import FILE, Failed, Journal, Posed, Priced, Row
from emafusion.learn.loop import LOCK, QUESTIONS, REPORT

if TYPE_CHECKING:
    import pyarrow as pa

Concerns: TypeAlias = Callable[[str], bool]
"""Whether a text is about who shall be forgotten."""
Ids: TypeAlias = "defaultdict[Path, set[str]]"
"""By folder, the queries to remove."""

ERASED: Final = "erased"
"""The query that money spent on what was removed is written down under."""
JOIN: Final = "\0"
"""Between texts that are searched as one: no value goes across it."""
REMEDY: Final = "free some space and run this again"
_DIGEST: Final = re.compile(r"[0-9a-f]{16,}")
"""Identifiers that are made of the prompt: one means the same query in every folder."""


class Forgotten(Struct, frozen=True, kw_only=True):
    """Rows removed, by file; and what is about the person, or cannot be read, and was left."""

    removed: Mapping[str, int]
    left: tuple[str, ...] = ()


def forget(
    root: Path, concerns: Concerns, *, queries: Collection[str] = (), dry: bool = False
) -> Forgotten:
    """Remove from `root` and the folders below it every query that `concerns` finds.

    A query goes with all that was asked and said about it: its prompt, answers, marks, and what
    judges said; what it cost stays in the journals, so that no budget begins anew.

    Parameters
    ----------
    root : Path
        A folder of outcomes, or one of ``emafusion learn``.
    concerns : callable
        Asked of every text.
    queries : collection of str
        To remove whatever they say: what :func:`emafusion.learn.traffic.identifier` gives.
    dry : bool
        Count alone.

    Raises
    ------
    StoreError
        Another process is at work there, which nothing is removed of then; or a file cannot be
        written.
    DataError
        There is no such folder.
    MissingExtraError
        There are tables, and pyarrow is not installed.
    """
    if not root.is_dir():
        raise DataError(f"there is no folder {str(root)!r} to remove anything from")
    with ExitStack() as stack:
        if (root / LOCK).exists() or (root / QUESTIONS).is_dir():
            stack.enter_context(held(root / LOCK, wait_s=0.0))
        return _Sweep(root, concerns, stack).run(queries, dry=dry)


class _Sweep:
    """One pass to find, and one to remove; the journals stay locked from before the first on."""

    def __init__(self, root: Path, concerns: Concerns, stack: ExitStack) -> None:
        self._root, self._concerns = root, concerns
        self._left: list[Path] = []
        self._removed: dict[Path, int] = {}
        found = sorted(self._files())
        self._tables = [path for path in found if path.suffix == ".parquet"]
        self._drafts = [p for p in found if p.name.startswith(".") and p.suffix == ".draft"]
        known = {*self._tables, *self._drafts}
        self._others = [p for p in found if p not in known and p.name != FILE]
        if self._tables:
            require_pyarrow()
        self._journals: list[Journal] = []
        for path in found:
            if path.name == FILE:
                self._open(path, stack)

    def run(self, queries: Collection[str], *, dry: bool) -> Forgotten:
        gone = self._found(queries)
        for journal in self._journals:
            self._mend(journal, gone[journal.path.parent], dry=dry)
        for path in self._tables:
            self._shorten(path, gone[path.parent], dry=dry)
        for path in self._others:
            self._drop(path, dry=dry)
        if not dry:
            # What a killed process was about to write; nobody writes now.
            for path in self._drafts:
                path.unlink(missing_ok=True)
        return Forgotten(
            removed={self._named(path): rows for path, rows in self._removed.items() if rows},
            left=tuple(dict.fromkeys(map(self._named, self._left))),
        )

    def _files(self) -> Iterator[Path]:
        """All files; a folder that cannot be read, or lies elsewhere, is left."""
        home = self._root.resolve()
        for place, below, names in os.walk(self._root, onerror=self._closed):
            folder = Path(place)
            self._left += [
                folder / one
                for one in below
                if (folder / one).is_symlink() and not (folder / one).resolve().is_relative_to(home)
            ]
            yield from (folder / one for one in names if (folder / one).is_file())

    def _closed(self, error: OSError) -> None:
        self._left.append(Path(error.filename))

    def _named(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()

    def _open(self, path: Path, stack: ExitStack) -> None:
        try:
            self._journals.append(stack.enter_context(Journal(path.parent)))
        except DataError:
            self._left.append(path)

    def _found(self, queries: Collection[str]) -> Ids:
        """The queries to remove, by folder; comparisons of a query's answers are among them."""
        gone: Ids = defaultdict(set)
        about: list[tuple[Path, str, str]] = []
        everywhere = set(queries)
        for folder, query, texts in self._rows():
            if self._concerns(JOIN.join(texts)):
                gone[folder].add(query)
            about.extend((folder, query, of) for of in _subjects(texts))
        everywhere |= {one for ids in gone.values() for one in ids if _DIGEST.fullmatch(one)}
        for folder, query, of in about:
            if of in everywhere:
                gone[folder].add(query)
        found: Ids = defaultdict(lambda: everywhere)
        found.update({folder: ids | everywhere for folder, ids in gone.items()})
        return found

    def _rows(self) -> Iterator[tuple[Path, str, Sequence[str]]]:
        """Folder, query and texts of every row that belongs to a query."""
        for journal in self._journals:
            for row in journal.rows():
                if not isinstance(row, Priced):
                    yield (
                        journal.path.parent,
                        row.query_id,
                        texts_of(msgspec.json.decode(msgspec.json.encode(row))),
                    )
        for path in self._tables:
            table = self._read(path)
            if table is not None and "query_id" in table.column_names:
                for one in _each(table):
                    yield path.parent, str(one["query_id"]), texts_of(one)

    def _read(self, path: Path) -> pa.Table | None:
        import pyarrow as pa
        from pyarrow import parquet

        try:
            return parquet.read_table(path)
        except (OSError, pa.ArrowInvalid):
            self._left.append(path)
            return None

    def _mend(self, journal: Journal, gone: Collection[str], *, dry: bool) -> None:
        rows = list(journal.rows())
        old = [row for row in rows if not isinstance(row, Priced) and row.query_id in gone]
        self._removed[journal.path] = len(old)
        if dry or not old:
            return
        dropped = set(map(id, old))
        kept = [row for row in rows if id(row) not in dropped]
        data = b"".join(msgspec.json.encode(row) + b"\n" for row in (*kept, *_paid(old)))
        files.write(journal.path, data, remedy=REMEDY)

    def _shorten(self, path: Path, gone: Collection[str], *, dry: bool) -> None:
        table = self._read(path)
        if table is None:
            return
        known = "query_id" in table.column_names
        keep = [
            str(one["query_id"]) not in gone
            if known
            else not self._concerns(JOIN.join(texts_of(one)))
            for one in _each(table)
        ]
        self._removed[path] = keep.count(False)
        if not dry and not all(keep):
            files.write(path, files.parquet(table.filter(keep)), remedy=REMEDY)

    def _drop(self, path: Path, *, dry: bool) -> None:
        """Remove a report that is about the person: the next run writes another."""
        try:
            said = chain([self._named(path)], contents.texts(path))
            if not any(map(self._concerns, said)):
                return
        except DataError:
            self._left.append(path)
            return
        if path.name != REPORT:
            self._left.append(path)
            return
        self._removed[path] = 1
        if not dry:
            path.unlink()


def _paid(rows: Sequence[Row]) -> list[Failed]:
    """What `rows` cost, by model, without what was said."""
    costs: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if not isinstance(row, (Posed, Priced)):
            costs[row.model].append(row)
    return [
        Failed(query_id=ERASED, model=model, error=ERASED, permanent=True, cost_usd=spent_of(mine))
        for model, mine in costs.items()
    ]


def _each(table: pa.Table) -> Iterator[Mapping[str, object]]:
    for batch in table.to_batches(max_chunksize=1000):
        yield from batch.to_pylist()


def texts_of(value: object) -> list[str]:
    """Every text within `value`, mappings and lists included."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [text for one in value.values() for text in texts_of(one)] + _about(value)
    if isinstance(value, bytes):
        return [value.decode("utf-8", "replace")]
    if isinstance(value, Iterable):
        return [text for one in value for text in texts_of(one)]
    return []


def _about(value: Mapping[object, object]) -> list[str]:
    """The provenance of a comparison in a journal as a table has it: a line of JSON."""
    return [json.dumps(value)] if {"query", "first", "second"} <= value.keys() else []


def _subjects(texts: Iterable[str]) -> Iterator[str]:
    """The queries whose answers a row compares, by what it says of its provenance."""
    for text in texts:
        if text.startswith("{") and '"first"' in text and '"query"' in text:
            try:
                told = json.loads(text)
            except ValueError:
                continue
            if isinstance(told, dict) and isinstance(told.get("query"), str):
                yield told["query"]
