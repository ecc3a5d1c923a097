"""A serving process with everything on, its files, and how to ask it."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from emafusion.cli import app
from emafusion.gateway.accounts import Registry, database
from emafusion.record import Store
from emafusion.types import Outcome

from ..parts import Reply, until

ASK: list[Any] = [{"role": "user", "content": "Say this back to me."}]
ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)")


class House:
    """A process that serves.

    Parameters
    ----------
    folder : Path
        Where its files are: ``accounts.db``, ``record.db``, ``emafusion.toml`` and what it prints.
    settings : str
        Its settings file, where ``FOLDER`` stands for `folder`.
    place, record : str
        Where its accounts and its record are, if not in `folder`.
    environment : str
        Variables it has beside ours.
    """

    def __init__(
        self, folder: Path, settings: str, *, place: str = "", record: str = "", **environment: str
    ):
        self._numbers = count()
        self.folder = folder
        self.place = place or str(folder / "accounts.db")
        self.record = record or folder / "record.db"
        self.settings = folder / "emafusion.toml"
        self.configure(settings)
        command = [sys.executable, "-m", "emafusion", "serve", "--config", str(self.settings)]
        with self._printed.open("w") as printed:
            self.process = subprocess.Popen(
                [*command, "--port", "0"],
                stdout=printed,
                stderr=printed,
                env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1", **environment},
            )
        until(self._serves, within_s=60.0)
        self.port = int(ADDRESS.findall(self.printed)[0])
        self.url = f"http://127.0.0.1:{self.port}"

    def configure(self, settings: str) -> None:
        """Write its settings file anew."""
        self.settings.write_text(settings.replace("FOLDER", str(self.folder)))

    @property
    def _printed(self) -> Path:
        return self.folder / "printed.txt"

    @property
    def printed(self) -> str:
        """All that it has printed."""
        return self._printed.read_text()

    def _serves(self) -> bool:
        assert self.process.poll() is None, self.printed
        return ADDRESS.search(self.printed) is not None

    def cli(self, line: str) -> Any:
        """What a command about accounts prints, as typed, its JSON read."""
        found = CliRunner().invoke(app, [*line.split(), "--config", str(self.settings)])
        if found.exception is not None:
            raise found.exception
        return json.loads(found.stdout) if "--json" in line else found.stdout

    def key(self, name: str, options: str = "") -> str:
        """The token of a new key."""
        return str(self.cli(f"keys create {name} {options} --json")["token"])

    def refresh(self) -> None:
        """Return once the process knows what was typed before: a key it never saw has it look."""
        token = self.key(f"fresh-{next(self._numbers)}", "--scopes models")
        assert self.get("/v1/models", token).status == 200

    def ask(self, key: str = "", model: str = "emafusion", **fields: Any) -> Reply:
        """The answer to a question; ``headers`` are the request's own."""
        headers = fields.pop("headers", {})
        return self.send("/v1/chat/completions", key, body(model, **fields), **headers)

    def get(self, path: str, key: str = "") -> Reply:
        """One ``GET``."""
        return self.send(path, key)

    def send(self, path: str, key: str, data: object = None, **headers: str) -> Reply:
        """One request without any client's help."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if key:
            named["authorization"] = f"Bearer {key}"
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with closing(link):
            content = None if data is None else json.dumps(data).encode()
            link.request("GET" if data is None else "POST", path, body=content, headers=named)
            response = link.getresponse()
            headers = {name.lower(): value for name, value in response.getheaders()}
            return Reply(response.status, headers, response.read())

    def outcomes(self) -> dict[str, Outcome]:
        """What is on record, by decision."""
        found = asyncio.run(_recent(self.record))
        return {outcome.decision_id: outcome for outcome in found}

    def outcome(self, reply: Reply) -> Outcome:
        """What is on record of a whole answer."""
        return self.outcomes()[decision(reply)]

    @contextmanager
    def registry(self) -> Iterator[Registry]:
        """Its accounts."""
        one = database(self.place)
        try:
            yield Registry(one)
        finally:
            one.close()

    def spent(self, holder: str) -> tuple[int, int]:
        """What a budget's holder has spent, and what is held for it, billionths of a dollar."""
        with self.registry() as registry:
            [one] = [each for each in registry.spending() if each.holder == holder]
        return nano(one.spent_usd), nano(one.held_usd)

    def counted(self, key: str, name: str, **labels: str) -> float:
        """The sum of a metric's series with `labels`, as a key with that scope sees it."""
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        lines = self.get("/metrics", key).content.decode().splitlines()
        return sum(
            float(line.rpartition(" ")[2])
            for line in lines
            if line.startswith((f"{name}{{", f"{name} ")) and all(one in line for one in wanted)
        )

    def signal(self, number: signal.Signals) -> None:
        """Send it `number`."""
        self.process.send_signal(number)

    def end(self, within_s: float = 30.0) -> int:
        """Its exit status, once it has ended by itself."""
        return self.process.wait(within_s)

    def close(self) -> None:
        """End it if it has not ended."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.end()
            finally:
                self.process.kill()


def body(model: str, **fields: Any) -> dict[str, Any]:
    """The body of a question to `model`; a ``text`` is what is asked, ``knobs`` are ours."""
    text, knobs = fields.pop("text", None), fields.pop("knobs", None)
    messages = ASK if text is None else [{"role": "user", "content": text}]
    found = {"model": model, "messages": messages, **fields}
    return found if knobs is None else {**found, "emafusion": knobs}


def decision(reply: Reply) -> str:
    """The decision that a whole answer tells."""
    return reply.headers["x-emafusion-decision"]


def nano(usd: float) -> int:
    """Billionths of a dollar."""
    return round(usd * 1e9)


@contextmanager
def opened(*told: Any, **more: Any) -> Iterator[House]:
    """A house, for as long as the block runs; as :class:`House`."""
    house = House(*told, **more)
    try:
        yield house
    finally:
        house.close()


async def _recent(path: Path | str) -> tuple[Outcome, ...]:
    store = Store(path)
    try:
        return tuple(await store.recent(10**6))
    finally:
        await store.aclose()
