"""Signals that come before a starting process can do what they ask for: kept, until it can.

Knows which. By itself either would end the process.
"""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType
from typing import Final

KEPT: Final = () if sys.platform == "win32" else (signal.SIGHUP, signal.SIGUSR2)


def put_off() -> None:
    """Have SIGHUP and SIGUSR2 wait until they are heard; the first thing a server does.

    Where a library has threads already, the system may give one of them what this thread blocks: it
    is sent on to this thread, where it waits.
    """
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_BLOCK, KEPT)
        for number in KEPT:
            signal.signal(number, _send_on)


def hear(*numbers: signal.Signals) -> None:
    """Take these signals from now on, and what has come of them since."""
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)


def _send_on(number: int, frame: FrameType | None) -> None:
    if sys.platform != "win32":
        signal.pthread_kill(threading.main_thread().ident or 0, number)
