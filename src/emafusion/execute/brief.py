"""What a writer is given of several drafts, within what its context window holds.

Knows which drafts to leave out where there is no room for all, and which writer has room. How the
chat is worded is :mod:`emafusion.execute.writing`'s.
"""

from __future__ import annotations

from collections.abc import Sequence

from emafusion import answers
from emafusion.catalog import tokens
from emafusion.execute.notes import notes
from emafusion.execute.trial import Trial
from emafusion.execute.writing import NOTES_SHARE, ROOM, chat
from emafusion.types import Draft, Message, Model, Request

ANSWER = 256
"""Tokens left for the answer at least, where the caller sets no bound."""
LEAST = 120
"""Tokens for drafts and notes below which writing from them is not worth it."""
MARGIN = 16
"""Tokens by which the room shrinks at least, when a chat is still too long."""
FEWEST = 2
"""Drafts that an answer is written from at least."""


def brief(trial: Trial, writers: Sequence[str], confidences: Sequence[float]) -> str | None:
    """Make the drafts `trial.closing` for the first of `writers` that has room; ``None`` if none.

    `confidences` are P(right) of each draft. The writers behind that one become `trial.heirs`.
    """
    request, shown = trial.ask.request, trial.shown()
    for place, name in enumerate(writers):
        model = trial.ask.model(name)
        window = None if model is None else _window(request, trial.drafts, model)
        found = fitting(request, shown, confidences=confidences, window=window)
        if found is not None:
            trial.closing, trial.heirs = found, tuple(writers[place + 1 :])
            return name
    return None


def heir(trial: Trial) -> str | None:
    """Who writes after a writer has failed, its own chat made; ``None`` if nobody has room."""
    assessment = trial.latest
    return None if assessment is None else brief(trial, trial.heirs, assessment.confidences)


def fitting(
    request: Request,
    drafts: Sequence[str],
    *,
    confidences: Sequence[float],
    window: int | None = None,
) -> list[Message] | None:
    """The writer's chat in at most `window` tokens; ``None`` where no two drafts fit it.

    The least trusted drafts are left out whole, as long as two remain; then those lose their
    middle, marked, down to :data:`LEAST` tokens for both.
    """
    kind = answers.guess_kind(request.text)
    kept = list(range(len(drafts)))
    room = ROOM
    while room >= LEAST:
        texts = [drafts[place] for place in kept]
        found = chat(
            request,
            texts,
            notes(texts, kind),
            confidences=[confidences[place] for place in kept],
            room=room,
            left_out=len(drafts) - len(kept),
        )
        excess = 0 if window is None else tokens.count_messages(found) - window
        if excess <= 0:
            return found
        if len(kept) > FEWEST:
            # Of equally trusted drafts the later one goes.
            kept.remove(min(reversed(kept), key=confidences.__getitem__))
        else:
            needed = sum(map(tokens.count, texts)) / (1.0 - NOTES_SHARE)
            room = min(room, int(needed)) - max(excess, MARGIN)
    return None


def _window(request: Request, drafts: Sequence[Draft], model: Model) -> int:
    """Tokens of `model`'s window that a chat may take, what an answer needs left free."""
    longest = max(tokens.count(draft.text) for draft in drafts)
    answer = min(request.max_tokens or max(ANSWER, longest), model.max_output)
    return model.context_window - tokens.count(model.system or "") - answer
