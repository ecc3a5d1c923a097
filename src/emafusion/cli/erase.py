"""``emafusion erase``: a person's decisions and learnt examples, or all that is too old."""

from __future__ import annotations

import asyncio
import re
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from emafusion.cli.console import columns, console, note, print_json
from emafusion.cli.options import Config, Json, open_settings, taking
from emafusion.errors import ConfigError

if TYPE_CHECKING:
    from emafusion.config import Settings
    from emafusion.protect.erasure import Subject
    from emafusion.record import Store

DAY_S = 86_400.0
BATCH = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasing:
    """The options of ``erase``."""

    subject: Annotated[
        list[str] | None,
        typer.Option(
            "--subject",
            metavar="VALUE",
            help="A caller's id, mail address, name, number; - reads stdin. Repeatable.",
        ),
    ] = None
    older_than: Annotated[
        str | None,
        typer.Option("--older-than", metavar="DAYS", help="Decisions older than that: 90d."),
    ] = None
    folder: Annotated[
        list[Path] | None,
        typer.Option("--folder", metavar="FOLDER", help="Of outcomes or of `learn`; repeatable."),
    ] = None
    tenant: Annotated[
        list[str] | None,
        typer.Option(
            "--tenant",
            metavar="TENANT",
            help="team:NAME or key:ID whose data to search, too, if none of its decisions is left.",
        ),
    ] = None
    secret: Annotated[
        list[str] | None,
        typer.Option(
            "--secret",
            metavar="env:NAME",
            help="Another secret that [protect] had once, for what was masked then; repeatable.",
        ),
    ] = None
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count, and erase nothing.")] = False
    json: Json = False
    config: Config = None


class Erased(msgspec.Struct, frozen=True, kw_only=True):
    """How many rows went, by place; `left` are files that somebody has to see to.

    ``veiled`` counts decisions that were masked with a secret that is not known; ``namesakes`` are
    callers of other tenants with the same id, who may be somebody else.
    """

    dry_run: bool
    removed: Mapping[str, int]
    left: Sequence[str] = ()
    veiled: int = 0
    namesakes: Sequence[str] = ()


@taking(Erasing)
def erase(options: Erasing) -> None:
    """Erase a person from the record and from folders of outcomes, or old decisions.

    Found are the values as they stand, in any spelling, and their placeholders.

    A server may run meanwhile. Exit code 1 if something is left.
    """
    from emafusion.protect.erasure import stands

    values = _values(options.subject or ())
    before = None if options.older_than is None else time.time() - _seconds(options.older_than)
    if not values and before is None:
        raise ConfigError("say what to erase: --subject VALUE, or --older-than 90d")
    if options.folder and not values:
        raise ConfigError("--folder is searched for a person: add --subject VALUE")
    if not all(map(stands, values)):
        note("too short to be looked for in texts: only as a caller, and by its placeholders")
    settings = open_settings(options.config)
    found = asyncio.run(_erased(options, settings, values, before=before))
    if options.json:
        print_json(found)
    else:
        _show(found)
    _tell(found)
    if found.left or found.veiled or found.namesakes:
        raise typer.Exit(1)


async def _erased(
    options: Erasing, settings: Settings, values: Sequence[str], *, before: float | None
) -> Erased:
    from emafusion.config.build import recorder
    from emafusion.config.erasing import Found, find, subject
    from emafusion.record import Store

    store = recorder(settings.record)
    if not isinstance(store, Store):
        raise ConfigError("the record is in memory: it ends with the process that keeps it")
    try:
        who = subject(
            values, settings.protect, tenants=options.tenant or (), secrets=options.secret or ()
        )
        found = await find(store, who) if values else Found()
        removed: dict[str, int] = {}
        left: list[str] = []
        # Folders first: what the record says of who asked leads to what was learnt of it.
        for folder in options.folder or ():
            _forget(folder, who, found.queries, dry=options.dry_run, told=(removed, left))
        removed |= await _from_record(
            store,
            decisions=found.decisions,
            opinions=found.opinions,
            before=before,
            dry=options.dry_run,
        )
    finally:
        await store.aclose()
    return Erased(
        dry_run=options.dry_run,
        removed=removed,
        left=left,
        veiled=found.veiled,
        namesakes=found.namesakes,
    )


def _forget(
    folder: Path,
    who: Subject,
    queries: frozenset[str],
    *,
    dry: bool,
    told: tuple[dict[str, int], list[str]],
) -> None:
    from emafusion.learn.forget import forget

    gone = forget(folder, who.concerns, queries=queries, dry=dry)
    removed, left = told
    removed.update({str(folder / name): rows for name, rows in gone.removed.items()})
    left.extend(str(folder / name) for name in gone.left)


async def _from_record(
    store: Store,
    *,
    decisions: Sequence[str],
    opinions: Sequence[int],
    before: float | None,
    dry: bool,
) -> dict[str, int]:
    """How many rows of the record went, by table."""
    if dry:
        old = 0 if before is None else await store.older(before)
        return {"decisions": len(decisions), "opinions": len(opinions), "older": old}
    found = {
        "decisions": await store.forget(decisions),
        "opinions": await store.silence(opinions),
        "older": 0,
    }
    while before is not None:
        gone = await asyncio.to_thread(store.forget_older_sync, before, limit=BATCH)
        found["older"] += gone
        if not gone:
            break
    # Even where nothing was found: an earlier run may have been killed before it came to this.
    await store.scrub()
    return found


def _values(given: Sequence[str]) -> list[str]:
    """The values to look for, those on stdin included."""
    read = sys.stdin.read().splitlines() if "-" in given else []
    told = (one.strip() for one in (*given, *read) if one != "-")
    return [one for one in dict.fromkeys(told) if one]


def _seconds(told: str) -> float:
    """The seconds in ``90d``."""
    days = re.fullmatch(r"(\d{1,6})d", told.strip())
    if days is None:
        raise ConfigError(f"--older-than is {told!r}; write days, such as 90d")
    return int(days[1]) * DAY_S


def _tell(found: Erased) -> None:
    """Say what somebody has to see to."""
    for path in found.left:
        note(f"left: {path} is about it or cannot be read; remove it, or mend it by hand")
    if found.veiled:
        note(
            f"left: {found.veiled} decisions were masked with another secret, and nothing in them "
            "was found; name it: --secret env:NAME"
        )
    for caller in found.namesakes:
        note(f"left: {caller} has that id, too; if it is the same person, name it as that")


def _show(found: Erased) -> None:
    table = columns()
    table.add_column("where", overflow="fold")
    table.add_column("would go" if found.dry_run else "erased", justify="right", no_wrap=True)
    for place, rows in found.removed.items():
        table.add_row(place, str(rows))
    console().print(table)
