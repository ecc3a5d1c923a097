"""Signals that come before a starting process can do what they ask for: kept, until it can.

Knows which. By itself either would end the process.
"""

from __future__ import annotations

import signal
import sys


def put_off() -> None:
    """Have SIGHUP and SIGUSR2 wait until they are heard; the first thing a server does."""
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGHUP, signal.SIGUSR2))


def hear(*numbers: signal.Signals) -> None:
    """Take these signals from now on, and what has come of them since."""
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
