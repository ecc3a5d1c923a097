"""A real upstream in a process of its own, and settings that point to it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SETTINGS = """\
[providers.house]
type = "openai"
base_url = "{url}"

[models.small]
provider = "house"
upstream = "small"
usd_per_mtok_in = 1.0
usd_per_mtok_out = 10.0

[models.large]
provider = "house"
upstream = "large"
usd_per_mtok_in = 10.0
usd_per_mtok_out = 100.0
visibility = "private"

[record]
path = "{folder}/decisions.sqlite3"
"""


@pytest.fixture(scope="session")
def upstream() -> Iterator[str]:
    """The address of a server that echoes questions."""
    server = subprocess.Popen(
        [sys.executable, "-m", "emafusion.testing.upstream"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    try:
        yield server.stdout.readline().strip()
    finally:
        server.terminate()
        server.wait()
        server.stdout.close()


@pytest.fixture
def settings(tmp_path: Path, upstream: str) -> Path:
    """A settings file with two models of that server, and a record of its own."""
    path = tmp_path / "settings.toml"
    path.write_text(SETTINGS.format(url=upstream, folder=tmp_path))
    return path


@pytest.fixture
def silent(settings: Path) -> Path:
    """The same settings, but no model ever answers."""
    text = settings.read_text()
    for name in ("small", "large"):
        text = text.replace(f'upstream = "{name}"', 'upstream = "silent"')
    settings.write_text(text)
    return settings
