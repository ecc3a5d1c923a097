"""The answer that ends a request: spoken as it comes, or written whole.

Knows who speaks when the first one fails; judges nothing.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from emafusion.errors import EmafusionError
from emafusion.execute.brief import heir
from emafusion.execute.ledger import Ledger
from emafusion.execute.trial import Trial
from emafusion.types import Chunk, Draft


async def speech(last: str | None, trial: Trial, ledger: Ledger) -> AsyncGenerator[Chunk]:
    """The chunks of the first model that speaks: `last`, else the plan's fallbacks.

    Of several drafts, those write that have room for them. Nothing where the drafts already hold
    the answer.
    """
    if last is None and trial.drafts:
        return
    named = dict.fromkeys((*([last] if last else []), *trial.ask.plan.fallbacks))
    waiting = (name for name in named if trial.closing is not None or trial.worth_asking(name))
    model = next(waiting, None)
    before = len(trial.drafts)
    while model is not None:
        attempt = _attempt(model, trial, ledger)
        async with aclosing(attempt):
            async for chunk in attempt:
                yield chunk
        if len(trial.drafts) > before:
            return
        model = next(waiting, None) if trial.closing is None else heir(trial)


async def write(last: str, trial: Trial) -> None:
    """Have one answer written of the drafts by `last`, else by those that may in its place."""
    writer: str | None = last
    while writer is not None and not trial.written:
        await trial.close(writer)
        writer = None if trial.written else heir(trial)


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
    """The chunks of `stream`; the draft that ends it joins the trial's.

    They are held back until one says something, so that until then another model may speak in its
    place; a writer's until one has a text: one that writes nothing has failed.
    """
    held: list[Chunk] = []
    silent = True
    async with aclosing(stream):
        async for piece in stream:
            if isinstance(piece, Draft):
                _keep(piece, trial)
                continue
            if not silent:
                yield piece
                continue
            held.append(piece)
            silent = not (piece.text.strip() if trial.closing is not None else _says(piece))
            while held and not silent:
                yield held.pop(0)


def _says(chunk: Chunk) -> bool:
    """Whether `chunk` holds any of an answer, or its end: more than the role that opens it."""
    if chunk.text or chunk.finish_reason is not None:
        return True
    choices = (chunk.raw or {}).get("choices")
    if not isinstance(choices, list):
        return False
    deltas = (choice.get("delta") for choice in choices if isinstance(choice, Mapping))
    return any(
        isinstance(delta, Mapping) and any(v for name, v in delta.items() if name != "role")
        for delta in deltas
    )


def _keep(draft: Draft, trial: Trial) -> None:
    if trial.closing is None:
        trial.drafts.append(draft)
    else:
        trial.accept(draft, streamed=True)
