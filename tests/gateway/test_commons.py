"""The folder that a server's processes share, and what is left of it when they are killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from emafusion.gateway.commons import shared, sweep

from .parts import until

SERVER = """
import subprocess, sys, time
from pathlib import Path
from emafusion.gateway.commons import shared

with shared(Path(sys.argv[1])) as (folder, file):
    (folder / "words").write_text("what a caller said")
    worker = subprocess.Popen(["cat"], pass_fds=(file,), stdin=sys.stdin, stdout=sys.stderr)
    print(folder, flush=True)
    time.sleep(60)
"""


def test_it_is_gone_with_its_server_and_left_alone_until_then(tmp_path: Path) -> None:
    with shared(tmp_path) as (first, _):
        assert first.stat().st_mode & 0o077 == 0
        with shared(tmp_path) as (second, _):
            assert first.is_dir()
            assert second != first
        assert not second.exists()
    assert not any(tmp_path.iterdir())


def test_what_a_killed_server_leaves_is_swept_once_its_last_worker_has_ended(
    tmp_path: Path,
) -> None:
    other = tmp_path / "emafusion-other"
    other.mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout is not None
        assert server.stdin is not None
        folder = Path(server.stdout.readline().strip())
        server.kill()
        server.wait()
        sweep(tmp_path)
        assert (folder / "words").exists(), "a worker still has it"
        server.stdin.close()  # which ends the worker

    def swept() -> bool:
        sweep(tmp_path)
        return not folder.exists()

    until(swept)
    assert other.exists(), "nobody says whose that is"


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    with shared(tmp_path / "..") as (elsewhere, _):
        (tmp_path / "emafusion-link").symlink_to(elsewhere)
        sweep(tmp_path)
        assert elsewhere.is_dir()
