"""The demo fetches models' files where they are not here, and goes on without those it cannot."""

from __future__ import annotations

import asyncio
import hashlib
import io
import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from rich.console import Console

from demo.staged import client, write_questions
from emafusion.demo import questions
from emafusion.demo.screen import Downloads, Screen
from emafusion.demo.session import Session
from emafusion.demo.weights import SMALL_BYTES, LocalModel, fetch, local_models, small
from emafusion.errors import UnavailableError
from emafusion.providers.local import LocalProvider
from emafusion.providers.weights import ModelFile, Weights
from emafusion.types import Model

BYTES = bytes(range(256)) * 8192
DIGEST = hashlib.sha256(BYTES).hexdigest()


class Hub(BaseHTTPRequestHandler):
    """Gives the bytes at /right, no more than a half at /slow, and nothing elsewhere."""

    def do_GET(self) -> None:
        if self.path == "/gone":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(BYTES)))
        self.end_headers()
        self.wfile.write(BYTES if self.path == "/right" else BYTES[: len(BYTES) // 2])
        if self.path == "/slow":
            self.wfile.flush()
            release.wait(10)

    def log_message(self, format: str, *args: object) -> None:
        return


release = threading.Event()


@pytest.fixture
def hub() -> Iterator[str]:
    """The address of that hub."""
    release.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    release.set()
    server.shutdown()
    thread.join()
    server.server_close()


def local(cache: Path, url: str) -> tuple[Model, LocalProvider, LocalModel]:
    """A model whose file is at `url`."""
    file = ModelFile(title="bytes", licence="none", size=len(BYTES), hub=url)
    provider = LocalProvider(weights=Weights(cache, files={DIGEST: file}))
    model = Model(
        name="tiny", provider="p", upstream=f"sha256:{DIGEST}",
        usd_per_mtok_in=1.0, usd_per_mtok_out=1.0,
    )  # fmt: skip
    (one,) = local_models([model], {"p": provider})
    return model, provider, one


def wait_for(text: str, out: io.StringIO) -> None:
    """Return once `out` shows `text`."""
    deadline = time.monotonic() + 30
    while text not in out.getvalue():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("terminal", [False, True])
async def test_a_file_is_fetched_once_with_its_progress_shown(
    hub: str, tmp_path: Path, terminal: bool
) -> None:
    _, _, one = local(tmp_path, f"{hub}/right")
    out = io.StringIO()
    assert not one.is_here()
    with Downloads(Console(file=out, width=80, force_terminal=terminal)) as downloads:
        assert await fetch([one], downloads) == {}
        assert one.is_here()
        shown = out.getvalue()
        assert await fetch([one], downloads) == {}
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "\n", out.getvalue())
    assert "fetching tiny" in plain
    assert max(len(line) for line in plain.splitlines()) <= 80
    if not terminal:
        assert "tiny: 100 %" in plain
        assert out.getvalue() == shown


async def test_a_file_that_cannot_be_had_is_told_of(hub: str, tmp_path: Path) -> None:
    _, _, one = local(tmp_path, f"{hub}/gone")
    out = io.StringIO()
    with Downloads(Console(file=out, width=80)) as downloads:
        problems = await fetch([one], downloads)
    assert "the hub answered 404" in problems["tiny"]
    assert "could not fetch tiny" in out.getvalue()
    assert one.weights.progress is None


async def test_an_interrupted_download_stops_at_once(hub: str, tmp_path: Path) -> None:
    _, _, one = local(tmp_path, f"{hub}/slow")
    out = io.StringIO()
    with Downloads(Console(file=out, width=80)) as downloads:
        task = asyncio.create_task(fetch([one], downloads))
        await asyncio.to_thread(wait_for, "50 %", out)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    release.set()
    assert not one.is_here()


async def test_without_any_file_the_demo_says_what_it_lacks(hub: str, tmp_path: Path) -> None:
    model, provider, _ = local(tmp_path / "cache", f"{hub}/gone")
    out = io.StringIO()
    entries = questions.load(write_questions(tmp_path / "q.toml"))
    session = Session(client(provider, [model]), entries, screen=Screen(Console(file=out)))
    with pytest.raises(UnavailableError, match=r"no model to ask: 'tiny' .* cannot be fetched"):
        await session.run()
    assert "going on without tiny" in out.getvalue()
    session.conclude()


def test_small_models_are_told_by_the_size_of_their_files(tmp_path: Path) -> None:
    _, _, one = local(tmp_path, "https://nowhere.example/x")
    large = LocalModel(model=one.model, weights=one.weights, size=SMALL_BYTES + 1)
    assert small([one, large]) == (one,)
