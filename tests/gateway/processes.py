"""Starts and stops the processes that tests of the serving process ask."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parent.parent


@dataclass(frozen=True)
class Said:
    """A response."""

    status: int
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)

    @property
    def text(self) -> str:
        """What the model said."""
        return str(self.json["choices"][0]["message"]["content"])


class Running:
    """A process that was started, with the address of the first worker that served."""

    def __init__(self, folder: Path, **told: Any) -> None:
        self.answers = folder / "answers.txt"
        if not self.answers.exists():
            self.answers.write_text("first")
        self.record = folder / "record.db"
        what = {"record": str(self.record), "answers": str(self.answers), **told}
        with (folder / "errors.txt").open("a") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gateway.operating", json.dumps(what)],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                cwd=TESTS,
            )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def get(self, path: str) -> Said:
        return self._ask("GET", path, b"")

    def ask(self, model: str = "small") -> Said:
        """What `model` says."""
        message = {"role": "user", "content": "Hi"}
        body = json.dumps({"model": model, "messages": [message]}).encode()
        return self._ask("POST", "/v1/chat/completions", body)

    def asking(self, model: str) -> Asking:
        """A question in a thread of its own."""
        return Asking(self, model)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self, within_s: float = 60.0) -> int:
        """Its exit status, once it has ended by itself."""
        return self.process.wait(within_s)

    def kill(self) -> None:
        """End it if it has not ended."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15.0)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def _ask(self, method: str, path: str, body: bytes) -> Said:
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with closing(link):
            link.request(method, path, body=body)
            response = link.getresponse()
            return Said(response.status, response.read())


class Asking(threading.Thread):
    """One question under way."""

    def __init__(self, running: Running, model: str) -> None:
        super().__init__()
        self._running = running
        self._model = model
        self.said: Said | None = None
        self.failed: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            self.said = self._running.ask(self._model)
        except (OSError, http.client.HTTPException) as error:
            self.failed = error

    @property
    def answer(self) -> Said:
        """The response, once it is there."""
        self.join()
        assert self.said is not None, self.failed
        return self.said
