"""One demo from fetching models to the verdict, on a screen.

It knows in which order things are shown; what is asked is :mod:`~emafusion.demo.play`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from emafusion.client import Client
from emafusion.demo import report, weights
from emafusion.demo.play import PARAMS, Options, Play, pool_of
from emafusion.demo.questions import Entry
from emafusion.demo.recorded import Recorded
from emafusion.demo.rows import Row
from emafusion.demo.screen import Downloads, Screen
from emafusion.demo.summary import Verdict, figures, verdict
from emafusion.types import Model


class Wanted(Struct, frozen=True, kw_only=True):
    """What a demo is to be: ``small`` leaves large local models out, the rest as :class:`Play`."""

    small: bool = False
    full: bool = False
    prefer: float | None = None


class Session:
    """Shows one demo on `screen`; ``rows`` holds what is done so far.

    Parameters
    ----------
    client : Client
        The engine; closed at the end.
    entries : sequence of Entry
        The questions.
    screen : Screen
        Where it is shown.
    wanted : Wanted, optional
        What it is to be.
    recorded : Recorded, optional
        The single models' answers of an earlier full run.
    """

    def __init__(
        self,
        client: Client,
        entries: Sequence[Entry],
        *,
        screen: Screen,
        wanted: Wanted | None = None,
        recorded: Recorded | None = None,
    ) -> None:
        self.wanted = wanted or Wanted()
        self._client = client
        self._entries = entries
        self._screen = screen
        self._recorded = recorded
        self._pool: list[Model] = []
        self._play: Play | None = None

    @property
    def rows(self) -> Sequence[Row]:
        """The questions that are answered."""
        return self._play.rows if self._play is not None else ()

    @property
    def _names(self) -> list[str]:
        """The models that could be asked."""
        pool = self._pool if self._play is None else self._play.pool
        return [model.name for model in pool]

    @property
    def complete(self) -> bool:
        """Whether every question was asked of everyone it was to be asked of."""
        models = set(self._names) if self.wanted.full else set()
        return len(self.rows) == len(self._entries) and all(
            models <= row.singles.keys() for row in self.rows
        )

    async def run(self) -> None:
        """Fetch, ask, show; raises :class:`UnavailableError` where no model can be asked."""
        try:
            self._pool = await pool_of(self._client, await self._fetch(), small=self.wanted.small)
            self._play = Play(
                self._client,
                self._entries,
                pool=self._pool,
                stage=self._screen,
                recorded=self._recorded,
                options=Options(prefer=self.wanted.prefer, full=self.wanted.full),
            )
            self._screen.introduce(self._pool, len(self._entries))
            with self._screen:
                await self._play.run()
        finally:
            await self._client.aclose()

    def conclude(self) -> None:
        """Show the summary of what was done."""
        rows = self.rows
        if not rows:
            return
        source = ""
        if self._recorded is not None:
            found = self._recorded
            source = (
                f"recorded {found.date} at commit {found.commit} on {found.machine}, at today's "
                "prices; --full asks the single models live"
            )
        if not self.complete:
            self._screen.notice(f"stopped after {len(rows)} of {len(self._entries)} questions")
        self._screen.summary(figures(rows), self._verdict(), source)

    def report(self, version: str) -> report.Report:
        """The run as its JSON file holds it."""
        about: Mapping[str, object] = {
            **report.circumstances(),
            "version": version,
            "params": PARAMS,
            "prefer": self.wanted.prefer,
            "full": self.wanted.full,
            "models": {
                model.name: {
                    "usd_per_mtok_in": model.usd_per_mtok_in,
                    "usd_per_mtok_out": model.usd_per_mtok_out,
                }
                for model in self._pool
            },
        }
        said = self._verdict()
        return report.report(self.rows, said, complete=self.complete, about=about)

    def _verdict(self) -> Verdict:
        return verdict(self.rows, self._names)

    async def _fetch(self) -> dict[str, str]:
        """What local models cannot be used, and why; the others' files are here then."""
        engine = self._client.engine
        models = weights.local_models(list(engine.models.values()), engine.providers)
        if self.wanted.small:
            models = weights.small(models)
        if not models:
            return {}
        lacking = weights.lacking_runtime()
        if lacking is not None:
            return {one.model.name: lacking for one in models}
        with Downloads(self._screen.console) as downloads:
            problems = await weights.fetch(models, downloads)
        for name in problems:
            self._screen.notice(f"going on without {name}")
        return problems
