"""The engine's stages, each with a span of its own.

Knows the stages' methods by name, and nothing of what they do.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Final

from opentelemetry.trace import Tracer

from emafusion.engine import Stages
from emafusion.types import replace

STAGES: Final = {
    "protector": "protect",
    "classifier": "understand",
    "splitter": "split",
    "predictor": "predict",
    "planner": "plan",
    "panel": "assess",
    "recorder": "record",
}
"""The method of each stage that is worth a span."""


def traced_stages(stages: Stages, tracer: Tracer) -> Stages:
    """`stages`, with a span of `tracer`'s round the work of each."""
    wrapped = {
        field: _Traced(stage, method, tracer)
        for field, method in STAGES.items()
        if (stage := getattr(stages, field)) is not None
    }
    return replace(stages, **wrapped)


class _Traced:
    """A stage whose one method is done in a span; all else is the stage's own."""

    __slots__ = ("_method", "_stage", "_tracer")

    def __init__(self, stage: object, method: str, tracer: Tracer) -> None:
        self._stage = stage
        self._method = method
        self._tracer = tracer

    def __getattr__(self, name: str) -> object:
        found = getattr(self._stage, name)
        if name != self._method:
            return found
        return (self._awaited if inspect.iscoroutinefunction(found) else self._done)(found)

    def _done(self, work: Callable[..., object]) -> Callable[..., object]:
        def traced(*given: object, **named: object) -> object:
            with self._tracer.start_as_current_span(self._method, record_exception=False):
                return work(*given, **named)

        return traced

    def _awaited(self, work: Callable[..., Awaitable[object]]) -> Callable[..., Awaitable[object]]:
        async def traced(*given: object, **named: object) -> object:
            with self._tracer.start_as_current_span(self._method, record_exception=False):
                return await work(*given, **named)

        return traced
