"""Signals that a starting server keeps for later."""

from __future__ import annotations

import subprocess
import sys

STARTING = """
import signal
from emafusion.cli import main

try:
    main({arguments!r})
finally:
    print(sorted(each.name for each in signal.pthread_sigmask(signal.SIG_BLOCK, ())))
"""


def blocked(*arguments: str) -> str:
    """The signals that wait once a command has ended."""
    code = STARTING.format(arguments=list(arguments))
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    return done.stdout.strip()


def test_serve_puts_them_off_before_all_else_and_other_commands_do_not() -> None:
    assert blocked("serve", "--config", "nowhere.toml") == "['SIGHUP', 'SIGUSR2']"
    assert blocked("models", "--config", "nowhere.toml") == "[]"
