"""The demo as it is seen: a growing table, a line that says what is being done, the summary.

It knows widths and colours. On a terminal the last line is alive; anywhere else every line is
plain text that stays. Nothing is ever wider than the terminal.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.status import Status
from rich.table import Table
from rich.text import Text

from emafusion.demo.rows import OURS, Row, Vote
from emafusion.demo.summary import Figures, Verdict, count
from emafusion.types import Model

WIDEST = 132
FIXED = 47
"""Columns of a row beside its question."""


class Screen:
    """Shows one run of the demo on `console`; use it as a context manager."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.width = min(console.width, WIDEST)
        self._letters: dict[str, str] = {}
        self._status: Status | None = None
        self._begun = False

    def __enter__(self) -> Screen:
        if self.console.is_terminal:
            self._status = self.console.status("")
            self._status.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._status is not None:
            self._status.stop()

    def introduce(self, pool: Sequence[Model], questions: int) -> None:
        """Name the models, cheapest first, by the letters the table uses."""
        self._letters = {model.name: _letter(place) for place, model in enumerate(pool)}
        self._line(Text(f"{questions} questions, {len(pool)} models, the cheapest first:"))
        for model in pool:
            price = f"${model.usd_per_mtok_in:g} in, ${model.usd_per_mtok_out:g} out"
            self._line(Text(f"  {self._letters[model.name]} {model.name} ({price} per Mtok)"))

    def notice(self, text: str) -> None:
        """A remark that stays."""
        self.console.print(Text(text, style="yellow"))

    def loading(self, model: str) -> None:
        """A model is being loaded."""
        self._doing(f"loading {model}")

    def lost(self, model: str, reason: str) -> None:
        """A model cannot be loaded."""
        self.notice(f"going on without {model}: {reason}")

    def asking(self, system: str, prompt: str, *, number: int, total: int) -> None:
        """A question is put to `system`."""
        if system != OURS and number == 1:
            self._line(Text(f"asking {system} alone the same {total} questions"))
        self._doing(f"{system} {number}/{total}: {' '.join(prompt.split())}")

    def answered(self, number: int, row: Row) -> None:
        """A finished row: what was asked, planned, tried and spent, and whether it is right."""
        if not self._begun:
            self._begun = True
            self.console.print()
            self._line(self._head())
        self._line(self._first(number, row))
        for line in self._details(row):
            self._line(Text(f"      {line}", style="dim"))

    def summary(self, found: Mapping[str, Figures], verdict: Verdict, recorded: str) -> None:
        """Every system's figures, and the verdict; `recorded` says whence recorded ones are."""
        if self._status is not None:
            self._status.stop()
        self.console.print()
        self.console.print(_table(found))
        if any(of.recorded for of in found.values()):
            self.console.print(Text(f"* {recorded}", style="dim"))
        self.console.print()
        self.console.print(Text(verdict.text, style="bold"))

    def _doing(self, text: str) -> None:
        if self._status is not None:
            self._status.update(Text(_cut(text, self.width - 3), style="dim"))

    def _line(self, text: Text) -> None:
        text.truncate(self.width, overflow="ellipsis")
        self.console.print(text, no_wrap=True, crop=True, highlight=False)

    def _head(self) -> Text:
        return Text(
            f"{'#':>3}   {'question':<{self._room}} {'plan':<7} {'tried':<7} "
            f"{'sure':>4} {'cost':>10} {'time':>6}",
            style="bold",
        )

    def _first(self, number: int, row: Row) -> Text:
        mark, style = _mark(row.score)
        line = Text(f"{number:>3} ")
        line.append(mark, style=style)
        question = _cut(" ".join(row.prompt.split()), self._room)
        line.append(f" {question:<{self._room}} {self._plan(row):<7} {self._tried(row):<7} ")
        line.append(f"{row.confidence:>4.2f} ${row.cost_usd:>9.7f} {row.latency_s:>5.1f}s")
        return line

    @property
    def _room(self) -> int:
        return max(10, self.width - FIXED)

    def _details(self, row: Row) -> list[str]:
        if row.error is not None:
            return [f"no answer: {row.error}"]
        labels = " · ".join(row.labels.values())
        votes = self._votes(row)
        if len(labels) + len(votes) + 9 <= self.width:
            return [f"{labels} | {votes}" if votes else labels]
        return [labels, *textwrap.wrap(votes, self.width - 6)]

    def _votes(self, row: Row) -> str:
        """Each judge's scores, after the letters of the models whose drafts they are."""
        drafted = [call.model for call in row.calls if call.purpose == "draft" and not call.error]
        by_judge: dict[str, list[Vote]] = {}
        for vote in row.votes:
            by_judge.setdefault(vote.judge, []).append(vote)
        return " · ".join(
            " ".join(
                [judge]
                + [
                    f"{self._letter(drafted[vote.draft])} {_score(vote.score)}"
                    for vote in votes
                    if vote.draft < len(drafted)
                ]
            )
            for judge, votes in by_judge.items()
        )

    def _plan(self, row: Row) -> str:
        tiers = ("+".join(self._letter(model) for model in tier) for tier in row.plan)
        return "→".join(tiers) or "-"

    def _tried(self, row: Row) -> str:
        return " ".join(self._letter(model) for model in row.tried) or "-"

    def _letter(self, model: str) -> str:
        return self._letters.get(model, "?")


class Downloads:
    """Shows downloads: a bar on a terminal, a line at every tenth elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars = Progress(
            TextColumn("fetching {task.description}"),
            BarColumn(bar_width=20),
            DownloadColumn(),
            TimeRemainingColumn(compact=True),
            console=console,
            disable=not console.is_terminal,
        )
        self._tenths: dict[str, int] = {}

    def __enter__(self) -> Downloads:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def began(self, model: str, size: int | None) -> None:
        """A download of `size` bytes begins."""
        self._bars.add_task(model, total=size)
        if not self._console.is_terminal:
            megabytes = f" ({size / 1e6:.0f} MB)" if size else ""
            self._console.print(Text(f"fetching {model}{megabytes}"))

    def went_on(self, model: str, done: int, total: int) -> None:
        """`done` of `total` bytes are here."""
        for task in self._bars.tasks:
            if task.description == model:
                self._bars.update(task.id, completed=done, total=total)
        tenth = 10 * done // total if total else 0
        if not self._console.is_terminal and tenth > self._tenths.get(model, 0):
            self._tenths[model] = tenth
            self._console.print(Text(f"  {model}: {10 * tenth} %"))

    def ended(self, model: str, problem: str | None) -> None:
        """It ended, with a `problem` or with the file."""
        if problem is not None:
            self._console.print(Text(f"could not fetch {model}: {problem}", style="yellow"))


def _table(found: Mapping[str, Figures]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("system")
    for name in ("right", "accuracy", "US$ per 1000", "seconds", "escalated"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, of in found.items():
        share = "" if of.escalated is None else f"{of.escalated:.0%}"
        table.add_row(
            Text(f"{name} *" if of.recorded else name, style="bold" if name == OURS else ""),
            f"{count(of.right)}/{of.n}",
            f"{of.accuracy:.1%}",
            f"{1000 * of.cost_usd:.5f}",
            f"{of.latency_s:.2f}",
            share,
        )
    return table


def _letter(place: int) -> str:
    return chr(ord("A") + place) if place < 26 else f"#{place + 1}"


def _mark(score: float) -> tuple[str, str]:
    if score >= 1.0:
        return "✓", "green"
    return ("✗", "red") if score <= 0.0 else ("~", "yellow")


def _score(score: float | None) -> str:
    """A score in as few characters as will do: 1, 0, .87, or a dash for none."""
    if score is None:
        return "–"
    text = f"{score:.2f}".removesuffix(".00")
    return text if text in ("0", "1") else text.removeprefix("0")


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(0, width - 1)] + "…"
