"""A demo run as a JSON file: rows, summary, verdict, and how it was run."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from emafusion.demo.rows import Row
from emafusion.demo.summary import Figures, Verdict, figures
from emafusion.errors import ConfigError


class Report(Struct, frozen=True, kw_only=True):
    """What the file holds. A row's ``cost_usd`` is the sum of its calls'."""

    rows: tuple[Row, ...]
    summary: Mapping[str, Figures]
    verdict: Verdict
    complete: bool
    run: Mapping[str, object]


def report(
    rows: Sequence[Row], said: Verdict, *, complete: bool, about: Mapping[str, object]
) -> Report:
    """The report of `rows` and of what was `said`; `complete` where nothing was left out."""
    return Report(
        rows=tuple(rows),
        summary=figures(rows),
        verdict=said,
        complete=complete,
        run=about,
    )


def save(found: Report, path: Path) -> None:
    """Write `found` to `path`, whole or not at all; raises :class:`ConfigError`."""
    draft = path.with_name(f".{path.name}.draft")
    try:
        draft.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise ConfigError(
            f"cannot write {str(path)!r}: {error.strerror}; name a file in a folder that you can "
            "write to"
        ) from error


def check_writable(path: Path) -> None:
    """Find out before the run that :func:`save` could not; raises :class:`ConfigError`."""
    if not path.parent.is_dir():
        raise ConfigError(f"there is no folder {str(path.parent)!r}; make it or name another file")
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise ConfigError(f"{str(path)!r} cannot be written; name another file")


def circumstances() -> dict[str, str]:
    """When, and on what machine."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}",
    }
