"""The answer that ends a request, spoken as it comes.

Knows who speaks when the first one fails; judges nothing.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from emafusion.errors import EmafusionError
from emafusion.execute.ledger import Ledger
from emafusion.execute.trial import Trial
from emafusion.types import Chunk, Draft


async def speech(last: str | None, trial: Trial, ledger: Ledger) -> AsyncGenerator[Chunk]:
    """The chunks of the first model that speaks: `last`, else the plan's fallbacks.

    Nothing where the drafts already hold the answer.
    """
    if last is None and trial.drafts:
        return
    for model in (*([last] if last else []), *trial.ask.plan.fallbacks):
        before = len(trial.drafts)
        attempt = _attempt(model, trial, ledger)
        async with aclosing(attempt):
            async for chunk in attempt:
                yield chunk
        if len(trial.drafts) > before:
            return


async def _attempt(model: str, trial: Trial, ledger: Ledger) -> AsyncGenerator[Chunk]:
    """`model`'s chunks; a failure before the first one is kept aside, a later one is raised."""
    spoke = False
    if trial.closing is None:
        coming = ledger.stream(model, trial.told or trial.ask.request.messages, params=trial.params)
    else:
        coming = ledger.stream(model, trial.closing, purpose="write", params=trial.writing)
    stream = _heard(coming, trial)
    try:
        async with aclosing(stream):
            async for chunk in stream:
                spoke = True
                yield chunk
    except EmafusionError as failure:
        trial.failures.append(failure)
        if spoke:
            raise


async def _heard(stream: AsyncGenerator[Chunk | Draft], trial: Trial) -> AsyncGenerator[Chunk]:
    """The chunks of `stream`; the draft that ends it joins the trial's."""
    async with aclosing(stream):
        async for piece in stream:
            if isinstance(piece, Draft):
                trial.drafts.append(piece)
            else:
                yield piece
