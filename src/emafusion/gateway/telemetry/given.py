"""What the caller of a request was given, as tokens: what another model's bill for it goes by.

Knows outcomes and their calls; no price.
"""

from __future__ import annotations

from emafusion.providers.wire import tokens_in
from emafusion.types import Outcome, Step, Usage, replace

ANSWERING = ("draft", "write")
"""The purposes of calls whose text can be the answer."""


def own(outcome: Outcome, model: str) -> Step | None:
    """The call in which `model` itself was asked the whole request; ``None`` where it was not.

    Of several, the one whose text is the answer, else the first that answered at all.
    """
    asked = [
        step
        for step in outcome.steps
        if step.model == model and step.purpose == "draft" and step.part is None
    ]
    answered = [step for step in asked if step.error is None]
    shown = [step for step in answered if step.text == outcome.text]
    return next(iter(shown or answered or (asked if outcome.error is not None else ())), None)


def given(outcome: Outcome) -> Usage | None:
    """The request's own prompt and the answer that was given; ``None`` where none was.

    Of a stream that its caller left, what had come by then. Of a synthesis, its text and the prompt
    that its drafts were asked; of a composite prompt, all parts' answers and one prompt for all.
    """
    if outcome.error is not None:
        return _left(outcome) if outcome.abandoned else None
    if outcome.parts:
        return _together(outcome)
    found = _shown(outcome, outcome.model, outcome.text)
    return None if found is None else _asked(outcome, found)


def _shown(outcome: Outcome, model: str, text: str, *, part: int | None = None) -> Step | None:
    """The call of `model` that gave `text`; where no text is kept, its last one."""
    answered = [
        step
        for step in outcome.steps
        if step.model == model
        and step.part == part
        and step.error is None
        and step.purpose in ANSWERING
    ]
    same = [step for step in answered if step.text == text]
    return next(reversed(same or answered), None)


def _left(outcome: Outcome) -> Usage | None:
    """What had been said when nobody listened any more. Who does not stream has heard nothing."""
    heard = [
        step
        for step in outcome.steps
        if step.error == "cancelled" and step.purpose in ANSWERING and step.usage.completion_tokens
    ]
    return _asked(outcome, heard[-1]) if heard else None


def _asked(outcome: Outcome, step: Step) -> Usage:
    """The tokens of `step`; of a writer's, with the prompt that the drafts before it were asked."""
    if step.purpose == "draft":
        return step.usage
    drafts = [
        one
        for one in outcome.steps
        if one.purpose == "draft" and one.part == step.part and one.error is None
    ]
    prompt = drafts[0].usage if drafts else Usage()
    return _saying(prompt, step.usage)


def _saying(prompt: Usage, *answers: Usage) -> Usage:
    """The prompt of one call and the answers of others."""
    return replace(
        prompt,
        completion_tokens=sum(one.completion_tokens for one in answers),
        reasoning_tokens=sum(one.reasoning_tokens for one in answers),
        audio_out_tokens=sum(one.audio_out_tokens for one in answers),
        image_out_tokens=sum(one.image_out_tokens for one in answers),
    )


def _together(outcome: Outcome) -> Usage | None:
    """All parts' answers, and one prompt for all of them.

    The conversation so far is sent with each part; one prompt has it once. It is what the shortest
    call was asked beside its part.
    """
    answers: list[Usage] = []
    before: list[int] = []
    parts = 0
    for number, piece in enumerate(outcome.parts):
        step = _shown(outcome, piece.model, piece.text, part=number)
        size = tokens_in(piece.prompt)
        parts += size
        if step is not None:
            usage = _asked(outcome, step)
            answers.append(usage)
            before.append(max(usage.prompt_tokens - size, 0))
    if not answers:
        return None
    return replace(_saying(answers[0], *answers), prompt_tokens=min(before) + parts)
