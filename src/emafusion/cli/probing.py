"""``emafusion models add NAME --probe N``: ask a new model a few questions and let it join.

The questions come from the outcomes that the policy was fitted on; answers are kept in a journal,
so that a command that was stopped goes on where it was and pays for no answer twice.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from msgspec import Struct

from emafusion.cli.console import console, note, print_json, say
from emafusion.cli.options import open_settings
from emafusion.errors import ConfigError, DataError

if TYPE_CHECKING:
    from emafusion.artefacts import Artefact
    from emafusion.evaluate.questions import Question
    from emafusion.learn.collect import Report
    from emafusion.learn.probing.joining import Joined

FOLDER = "probes"
POLICY = "policy"


class Wish(Struct, frozen=True, kw_only=True):
    """Whom to probe, with how many questions of which outcomes, and for how much money."""

    model: str
    count: int
    data: Path
    budget_usd: float | None
    config: Path | None
    json: bool


class Told(Struct, frozen=True, kw_only=True):
    """What the command says of a newcomer; ``wrote`` is the extended policy's folder."""

    model: str
    probes: int
    answered: int
    spent_usd: float
    accuracy: float
    accuracy_std: float
    like: dict[str, float]
    in_the_look_ahead: bool
    wrote: str


def check(config: Path | None, data: Path | None, model: str) -> Path:
    """The folder of outcomes; refused before anything is written or asked."""
    from emafusion.cli.learning import policy

    if data is None:
        raise ConfigError("--probe takes --data FOLDER, the outcomes the policy was fitted on")
    if model in policy(config).manifest.pool:
        raise ConfigError(f"the policy in use knows {model!r} already; there is nothing to probe")
    return data


def probe(wish: Wish) -> None:
    """Choose the questions, ask them, extend the policy, and say what was found."""
    from emafusion import encoders
    from emafusion.cli.learning import policy
    from emafusion.learn.probing import joining, reading

    out = _out(wish)
    # Read before the policy is: what another process promotes meanwhile must not be undone.
    over = _serving(out)
    note("reading the policy's outcomes")
    known = reading.known(wish.data, policy(wish.config), encoders.Remembered(encoders.default()))
    asked = reading.questions(known, wish.data, wish.count)
    folder = wish.data / FOLDER / quote(wish.model, safe="")
    report = asyncio.run(_ask(wish, asked, folder))
    if report.answered < min(wish.count, joining.FEWEST):
        raise DataError(
            f"{wish.model!r} gave {report.answered} of {wish.count} answers"
            f"{_why(report, wish.model)}; run the command again to go on"
        )
    joined = joining.join(known, reading.answers(known, folder, wish.model))
    why = f"{wish.model} joined by {report.answered} probes"
    _tell(wish, report, joined=joined, out=keep(out, joined.artefact, over=over, why=why))


def keep(folder: Path, artefact: Artefact, *, over: str | None, why: str) -> Path:
    """Write the extended policy and return its folder.

    Where `folder` holds versions of policies it becomes one more of them, and serves if `over`
    still does; raises ArtefactError if not.
    """
    from emafusion import artefacts
    from emafusion.artefacts.versions import VERSIONS, Versions, is_one

    if not is_one(folder):
        artefacts.write(folder, artefact)
        return folder
    versions = Versions(folder)
    name = versions.add(artefact)
    versions.promote(name, over=over, why=why)
    return folder / VERSIONS / name


def _serving(folder: Path) -> str | None:
    """The policy that serves of those in `folder`, if it holds versions and one does."""
    from emafusion.artefacts.versions import Versions, is_one

    serving = Versions(folder).current() if is_one(folder) else None
    return None if serving is None else serving.id


def _out(wish: Wish) -> Path:
    """The configured policy's folder; else, since the shipped one is not ours, beside the data."""
    path = open_settings(wish.config).artefact.path
    return wish.data / POLICY if path is None else Path(path).expanduser()


async def _ask(wish: Wish, asked: list[Question], folder: Path) -> Report:
    from emafusion.cli.learning import Bar
    from emafusion.cli.opening import opened, pull_missing
    from emafusion.learn.collect import Bounds, collect

    async with opened(open_settings(wish.config), [wish.model]) as (models, providers, _):
        await pull_missing(models, providers)
        with Bar(f"probing {wish.model}") as bar:
            return await collect(
                {"train": asked},
                models,
                providers=providers,
                folder=folder,
                bounds=Bounds(budget_usd=wish.budget_usd, retry_failed=True),
                progress=bar.show,
            )


def _why(report: Report, model: str) -> str:
    reason = report.stopped.get(model)
    if reason is None and report.failed:
        reason = report.failed[0].error
    return "" if reason is None else f" ({reason})"


def _tell(wish: Wish, report: Report, *, joined: Joined, out: Path) -> None:
    accuracy, error = joined.quality
    told = Told(
        model=wish.model,
        probes=wish.count,
        answered=report.answered,
        spent_usd=report.spent_usd,
        accuracy=accuracy,
        accuracy_std=error,
        like=joined.like,
        in_the_look_ahead=joined.seated,
        wrote=str(out),
    )
    if wish.json:
        print_json(told)
    else:
        _show(told)
    if open_settings(wish.config).artefact.path is None:
        note(f"to use it, set path = {str(out)!r} under [artefact] in the settings")


def _show(told: Told) -> None:
    say(f"{told.answered} of {told.probes} probes answered, ${told.spent_usd:.6f}")
    say(f"expected accuracy {told.accuracy:.1%} ± {told.accuracy_std:.1%}")
    nearest = sorted(told.like, key=told.like.__getitem__, reverse=True)[:3]
    console().print("most like: " + ", ".join(f"{n} ({told.like[n]:.0%})" for n in nearest))
    part = "a part in cascades" if told.in_the_look_ahead else "no part in cascades that pays yet"
    say(f"{told.model}: {part}; its own calls and fallbacks are forecast")
    say(f"wrote {told.wrote}")
