"""Runs a generated function against test cases, in the sandbox.

Knows cases and how a result is held against what was expected, which the program is never told.
Where the machine permits no isolation a warning says so once, and limits on time, memory and files
are all there is: enough for honest mistakes, not for programs from a source that nobody trusts.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Sequence
from functools import cache
from typing import Final

from emafusion.answers.structured import Json
from emafusion.errors import ConfigError, DataError
from emafusion.judge.sandbox import Limits, Network, Result, Sandbox

_TEXT_CHARS: Final = 100_000
_OUTPUT_BYTES: Final = 4 * 2**20
# Of what a function may return, subclasses of these equal their plain value but are not printed so.
_PLAIN: Final = (
    "(lambda got: {{**got}} if isinstance(got, dict) else (*got,) if isinstance(got, tuple)"
    " else got)({call})"
)


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
        Wall-clock seconds for all cases together; past it no further case counts.

    Raises
    ------
    DataError
        A case is not such a pair, or ``entry`` is no name.
    """
    if not entry.isidentifier():
        raise DataError(f"{entry!r} cannot be the name of a function under test")
    pairs = [_pair(case) for case in cases]
    limits = Limits(
        wall_s=timeout_s,
        call_s=timeout_s,
        cpu_s=max(1, round(timeout_s)),
        text_chars=_TEXT_CHARS,
        output_bytes=_OUTPUT_BYTES,
    )
    calls = [_PLAIN.format(call=f"{entry}(*{arguments})") for arguments, _ in pairs]
    run = Sandbox(limits, network=_network()).run_sync(program, calls)
    if run.program.error is not None:
        return 0
    return sum(_equal(got, pair[1]) for got, pair in zip(run.calls, pairs, strict=True))


@cache
def _network() -> Network:
    """Whether programs can be isolated here; where they cannot, a warning, once."""
    try:
        Sandbox().check()
    except ConfigError as refused:
        warnings.warn(
            f"code is graded with limits on time and memory alone: {refused}",
            RuntimeWarning,
            stacklevel=3,
        )
        return "inherit"
    return "none"


def _equal(got: Result, expected: str) -> bool:
    if got.value is None:
        return False
    try:
        return bool(ast.literal_eval(got.value) == ast.literal_eval(expected))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return False


def _pair(case: Json) -> tuple[str, str]:
    if not isinstance(case, list | tuple) or len(case) != 2:
        raise DataError(f"a test case is a pair of literals, not {case!r}")
    return str(case[0]), str(case[1])
