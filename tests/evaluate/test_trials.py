from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from emafusion.answers.structured import Json
from emafusion.errors import ConfigError, DataError
from emafusion.evaluate import Grader
from emafusion.evaluate.trials import passed
from emafusion.judge.sandbox import Sandbox


def isolated() -> str:
    """Why this machine permits no isolation; empty where it does."""
    try:
        Sandbox().check()
    except ConfigError as refused:
        return str(refused)
    return ""


_CASES: list[Json] = [["(2, 3)", "5"], ["('a', 'b')", "'ab'"], ["([1], [2])", "[1, 2]"]]


def test_counts_the_cases_that_hold() -> None:
    assert passed("def add(a, b):\n    return a + b", "add", _CASES) == 3
    assert passed("def add(a, b):\n    return sum([a, b])", "add", _CASES) == 1


@pytest.mark.parametrize(
    "program",
    [
        "def add(a, b): return 0",
        "def plus(a, b): return a + b",
        "def add(a, b): raise SystemExit",
        "def add(a, b) return a + b",
        "import os; os._exit(0)",
        "print('3'); raise ValueError",
        "",
    ],
)
def test_what_does_not_work_passes_nothing(program: str) -> None:
    assert passed(program, "add", _CASES) == 0


def test_output_of_the_program_is_not_taken_for_a_result() -> None:
    assert (
        passed("print('x 3')\ndef add(a, b):\n    print('9 9')\n    return 1", "add", _CASES) == 0
    )


def test_an_endless_loop_ends() -> None:
    assert passed("def add(a, b):\n    while True: pass", "add", _CASES, timeout_s=0.7) == 0


def test_memory_and_files_are_limited(tmp_path: Path) -> None:
    target = tmp_path / "written"
    program = f"""
def add(a, b):
    kept = 0
    try:
        bytearray(2**31)
    except MemoryError:
        kept += 1
    try:
        with open({str(target)!r}, "w") as file:
            file.write("x" * 10)
    except OSError:
        kept += 1
    return kept
"""
    assert passed(program, "add", [["(0, 0)", "2"]]) == 1
    assert not target.exists() or target.read_text() == ""


def test_the_environment_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMAFUSION_SECRET", "s")
    program = "import os\ndef add(a, b):\n    return os.environ.get('EMAFUSION_SECRET')"
    assert passed(program, "add", [["(0, 0)", "None"]]) == 1


ISOLATED = isolated() == ""


@pytest.mark.skipif(not ISOLATED, reason="this machine permits no namespaces")
def test_a_program_sees_nothing_of_the_machine(tmp_path: Path) -> None:
    secret = tmp_path / "expected"
    secret.write_text("7", encoding="utf-8")
    program = f"""
def add(a, b):
    try:
        return int(open({str(secret)!r}).read())
    except OSError:
        return 0
"""
    assert passed(program, "add", [["(3, 4)", "7"]]) == 0
    assert passed(program, "add", [["(3, 4)", "0"]]) == 1


def test_a_program_cannot_claim_to_equal_everything() -> None:
    yes = "class Yes:\n    def __eq__(self, other): return True\n"
    assert passed(yes + "def add(a, b): return Yes()", "add", _CASES) == 0


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ("collections.Counter('aab')", "{'a': 2, 'b': 1}"),
        ("collections.namedtuple('P', 'x y')(1, 2)", "(1, 2)"),
        ("collections.OrderedDict(a=1)", "{'a': 1}"),
        ("2.0", "2"),
        ("True", "1"),
        ("{1, 2}", "{2, 1}"),
        ("'x' * 50_000", repr("x" * 50_000)),
    ],
)
def test_equal_values_of_another_type_pass(result: str, expected: str) -> None:
    assert passed(f"import collections\ndef f(): return {result}", "f", [["()", expected]]) == 1


@pytest.mark.skipif(not ISOLATED, reason="this machine permits no namespaces")
def test_without_isolation_code_is_graded_with_a_warning_once() -> None:
    """A process in an empty user namespace can make none of its own: there we grade."""
    code = (
        "import ctypes\nfrom emafusion.evaluate.trials import passed\n"
        "assert ctypes.CDLL(None).unshare(0x10000000) == 0\n"
        "case = [['(1,)', '2']]\n"
        "print([passed('def f(x): return x + 1', 'f', case) for _ in range(2)])\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.stdout == "[1, 1]\n"
    assert done.stderr.count("limits on time and memory alone") == 1


def test_the_code_grader_takes_the_program_out_of_the_reply() -> None:
    reply = "Sure!\n```python\ndef add(a, b):\n    return a + b\n```\nIt adds."
    grader = Grader(type="code", params={"entry": "add", "cases": _CASES})
    assert grader.grade(reply, "") == 1.0
    half = Grader(type="code", params={"entry": "add", "cases": _CASES, "partial": True})
    assert half.grade("def add(a, b): return 5", "") == pytest.approx(1 / 3)


def test_a_malformed_trial_is_an_error() -> None:
    with pytest.raises(DataError, match="name"):
        passed("x = 1", "not a name", _CASES)
    with pytest.raises(DataError, match="pair"):
        passed("x = 1", "add", [["(1,)"]])
    with pytest.raises(DataError, match="cases"):
        Grader(type="code", params={"entry": "add", "cases": []}).grade("", "")
