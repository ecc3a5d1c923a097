"""The command as users run it: real processes, signals and pipes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "emafusion"]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "COLUMNS": "80", **more}


def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        env=environment(**more),
        timeout=180,
        check=False,
    )


def test_help_imports_nothing_heavy() -> None:
    heavy = "{'numpy', 'aiohttp', 'starlette', 'uvicorn', 'pyarrow', 'xllamacpp', 'msgspec'}"
    code = (
        "import sys\n"
        "from emafusion.cli import run\n"
        f"print(sorted({heavy} & set(sys.modules)), file=sys.stderr)\n"
        "assert run(['--help']) == 0\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=180
    )
    assert told.stderr.strip() in ("[]", "['msgspec']")
    assert max(len(line) for line in told.stdout.splitlines()) <= 80


def test_an_error_is_no_traceback_unless_it_is_asked_for(settings: Path) -> None:
    found = run("ask", "Hi", "--models", "none", EMAFUSION_CONFIG=str(settings))
    assert found.returncode == 2
    assert found.stderr.startswith("error: ")
    assert "Traceback" not in found.stderr
    found = run("ask", "Hi", "--models", "none", "--debug", EMAFUSION_CONFIG=str(settings))
    assert "Traceback" in found.stderr


def test_a_reader_that_has_enough_gets_no_traceback(settings: Path) -> None:
    process = subprocess.Popen(
        [*COMMAND, "ask", "Say it.", "--config", str(settings)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    told = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 1
    assert told == ""


def test_a_demo_runs_in_plain_lines_and_writes_its_file(settings: Path, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    recording = tmp_path / "recorded.json"
    demo = ["demo", "--full", "--questions", "3", "--json", str(path)]
    kept = ["--record", str(recording), "--commit", "abc1234"]
    found = run(*demo, *kept, EMAFUSION_CONFIG=str(settings))
    assert found.returncode == 0, found.stderr
    assert "\x1b" not in found.stdout
    assert max(len(line) for line in found.stdout.splitlines()) <= 80
    rows = json.loads(path.read_text())
    assert len(rows["rows"]) == 3
    assert set(rows["summary"]) == {"emafusion", "small", "large"}
    kept_answers = json.loads(recording.read_text())
    assert kept_answers["commit"] == "abc1234"
    assert len(kept_answers["answers"]) == 6


def asked(upstream: str) -> int:
    """How many requests the upstream has had."""
    with urllib.request.urlopen(upstream.removesuffix("/v1") + "/stats", timeout=10) as answer:
        return int(json.load(answer)["requests"])


def interrupted(arguments: Sequence[str], upstream: str) -> tuple[int, str, str]:
    """The ending of a process that gets Ctrl-C while it waits for `upstream`."""
    before = asked(upstream)
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(PYTHONUNBUFFERED="1"),
    )
    deadline = time.monotonic() + 120
    while asked(upstream) == before:
        assert time.monotonic() < deadline, "it never asked"
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=120)
    return process.returncode, out, errors


def test_ctrl_c_ends_cleanly_with_130(silent: Path, upstream: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    demo = ["demo", "--config", str(silent), "--json", str(path)]
    code, _, errors = interrupted(demo, upstream)
    assert (code, "Traceback" in errors) == (130, False)
    assert "interrupted" in errors
    assert json.loads(path.read_text())["complete"] is False
    code, out, errors = interrupted(["ask", "Anyone?", "--config", str(silent)], upstream)
    assert (code, out, errors) == (130, "", "interrupted\n")


def test_serve_answers_and_stops_on_a_signal(settings: Path) -> None:
    process = subprocess.Popen(
        [*COMMAND, "serve", "--port", "0", "--config", str(settings)],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        url = process.stderr.readline().split()[1]
        with urllib.request.urlopen(f"{url}/models", timeout=10) as answer:
            names = {model["id"] for model in json.load(answer)["data"]}
        assert {"emafusion", "small", "large"} <= names
    finally:
        process.send_signal(signal.SIGTERM)
        rest = process.stderr.read()
        process.stderr.close()
        code = process.wait(timeout=120)
    assert code == 0
    assert "Traceback" not in rest


@pytest.mark.parametrize("variable", ["NO_COLOR"])
def test_colours_can_be_refused(settings: Path, variable: str) -> None:
    found = run("models", **{variable: "1", "FORCE_COLOR": "1"}, EMAFUSION_CONFIG=str(settings))
    assert found.returncode == 0
    assert "\x1b[3" not in found.stdout


def test_a_defect_is_one_line_too() -> None:
    code = "import emafusion.cli as c\nc.run = lambda given: 1 / 0\nc.main({arguments})"
    for arguments, traceback in (([], False), (["--debug"], True)):
        found = subprocess.run(
            [sys.executable, "-c", code.format(arguments=arguments)],
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )
        assert found.returncode == 1
        assert ("Traceback" in found.stderr) is traceback
        assert traceback or found.stderr.startswith("error: ZeroDivisionError: ")
