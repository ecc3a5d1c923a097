"""How the processor time of a piece of work grows with what it is given.

Knows two measurements and their ratio, which is the same on a slow machine as on a fast one.
Does not know how long anything may take.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable
from typing import TypeVar

LINEAR = 9.0
"""The growth between a quarter and the whole that no linear work has: linear 4, quadratic 16."""
NOISE_S = 0.005
"""What takes less than this tells nothing; choose the whole so that quadratic time is beyond it."""
TRIES = 4

Given = TypeVar("Given")


def growth(work: Callable[[Given], object], quarter: Given, whole: Given) -> float:
    """How many times the time of `quarter` `work` takes for `whole`, four times as large.

    Parameters
    ----------
    work : callable
        Called with either, some times over. Only what it does in this thread is counted: of work
        that it gives to other threads or processes nothing is seen, and any growth looks like none.
    quarter, whole : Given
        Something of one kind in two sizes.

    Returns
    -------
    float
        The ratio of the least processor times of some tries; fewer once it is below `LINEAR`.
        0 where the whole takes next to no time.
    """
    few = many = ratio = math.inf
    for _ in range(TRIES):
        few = min(few, _spent_s(work, quarter))
        many = min(many, _spent_s(work, whole))
        # Once more: a first try that was slow by chance would hide how much more the whole takes.
        few = min(few, _spent_s(work, quarter))
        ratio = many / max(few, 1e-9) if many >= NOISE_S else 0.0
        if ratio < LINEAR:
            break
    return ratio


def _spent_s(work: Callable[[Given], object], given: Given) -> float:
    """Processor time of this thread, s, without the collector's, which is that of all the tests."""
    collects = gc.isenabled()
    gc.disable()
    try:
        began = time.thread_time()
        work(given)
        return time.thread_time() - began
    finally:
        if collects:
            gc.enable()
