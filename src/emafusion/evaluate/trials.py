"""Runs a generated function against test cases, in a process of its own.

Knows processes and limits. The child starts as ``python -I`` with an empty environment, in an
empty folder that is removed afterwards, under limits on processor time, memory, file size and
open files. This keeps an honest mistake (an endless loop, a huge list) from doing harm. It is
**not** a security boundary: hostile code could still read files or reach the network, so programs
from an untrusted source belong in a container or a virtual machine.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import Final

from emafusion.answers.structured import Json
from emafusion.errors import DataError

_MEMORY_BYTES: Final = 512 * 2**20

# Limits are set by the child itself: code between fork and exec is unsafe in a threaded parent.
_CHILD: Final = """
import sys, json
job = json.loads(sys.stdin.read())
try:
    import resource
except ImportError:
    resource = None
if resource is not None:
    for name, most in (("RLIMIT_CPU", job["cpu_s"]), ("RLIMIT_AS", job["memory"]),
                       ("RLIMIT_FSIZE", 0), ("RLIMIT_NOFILE", 32), ("RLIMIT_CORE", 0)):
        resource.setrlimit(getattr(resource, name), (most, most))
import ast, io, os
out, sys.stdout, sys.stderr, sys.stdin = sys.stdout, io.StringIO(), io.StringIO(), io.StringIO()
scope = {"__name__": "candidate"}
passed = 0
try:
    exec(compile(job["program"], "candidate", "exec"), scope)
    for arguments, expected in job["cases"]:
        try:
            got = scope[job["entry"]](*ast.literal_eval(arguments))
            passed += bool(got == ast.literal_eval(expected))
        except Exception:
            pass
except BaseException:
    pass
out.write(job["token"] + " " + str(passed))
out.flush()
os._exit(0)
"""


def passed(program: str, entry: str, cases: Sequence[Json], *, timeout_s: float = 5.0) -> int:
    """How many cases a program passes.

    Parameters
    ----------
    program
        Python source that defines ``entry``.
    entry
        The function's name.
    cases
        Pairs ``[arguments, expected]``, each a Python literal as text; ``arguments`` is a tuple.
    timeout_s
        Wall-clock seconds for all cases together; past it no case counts.

    Raises
    ------
    DataError
        A case is not such a pair, or ``entry`` is no name.
    """
    if not entry.isidentifier():
        raise DataError(f"{entry!r} cannot be the name of a function under test")
    token = secrets.token_hex(16)
    job = {
        "program": program,
        "entry": entry,
        "cases": [_pair(case) for case in cases],
        "cpu_s": max(1, int(timeout_s)),
        "memory": _MEMORY_BYTES,
        "token": token,
    }
    said = _run(json.dumps(job), timeout_s)
    mark, _, count = said.rpartition(" ")
    return int(count) if mark.endswith(token) and count.isdigit() else 0


def _run(job: str, timeout_s: float) -> str:
    with tempfile.TemporaryDirectory() as folder:
        try:
            child = subprocess.run(  # noqa: S603 - our own interpreter, no shell
                [sys.executable, "-I", "-S", "-c", _CHILD],
                input=job,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout_s,
                cwd=folder,
                env={},
                check=False,
            )
        except subprocess.TimeoutExpired:
            return ""
    return child.stdout


def _pair(case: Json) -> list[str]:
    if not isinstance(case, list | tuple) or len(case) != 2:
        raise DataError(f"a test case is a pair of literals, not {case!r}")
    return [str(case[0]), str(case[1])]
