"""The single models' answers from an earlier full run, which a short demo compares with.

It knows the shipped file. Marks and costs are computed anew from the recorded texts and tokens, so
they follow today's graders and the catalog's prices; latencies are that run's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path

import msgspec
from msgspec import Struct

from emafusion.demo.questions import Entry
from emafusion.demo.rows import Attempt, Call, Row
from emafusion.errors import DataError
from emafusion.types import Model, Usage

SHIPPED = "recorded.json"


class Answer(Struct, frozen=True, kw_only=True):
    """What one model said to one question (by its id), at how many tokens, in how many seconds."""

    question: str
    model: str
    text: str
    prompt_tokens: int
    completion_tokens: int
    latency_s: float


class Recorded(Struct, frozen=True, kw_only=True):
    """A full run's answers of the single models; when, at which commit and on what they ran."""

    date: str
    commit: str
    machine: str
    params: Mapping[str, float]
    answers: tuple[Answer, ...]

    def attempts(self, entry: Entry, models: Iterable[Model]) -> dict[str, Attempt]:
        """The recorded attempts of `models` at `entry`, those there are."""
        pool = {model.name: model for model in models}
        return {
            answer.model: _attempt(answer, entry, pool[answer.model])
            for answer in self.answers
            if answer.question == entry.question.id and answer.model in pool
        }


def load() -> Recorded | None:
    """The shipped recording, ``None`` where none is shipped; raises :class:`DataError`."""
    place = files(__package__).joinpath(SHIPPED)
    if not place.is_file():
        return None
    try:
        return msgspec.json.decode(place.read_bytes(), type=Recorded)
    except msgspec.DecodeError as error:
        raise DataError(
            f"the shipped {SHIPPED} is damaged ({error}); reinstall emafusion"
        ) from error


def record(
    rows: Sequence[Row], *, about: Mapping[str, str], params: Mapping[str, float]
) -> Recorded:
    """The recording of a full run; `about` gives its ``date``, ``commit`` and ``machine``."""
    answers = [
        _answer(row, name, attempt)
        for row in rows
        for name, attempt in row.singles.items()
        if attempt.error is None and not attempt.recorded
    ]
    return Recorded(**about, params=params, answers=tuple(answers))


def save(recording: Recorded, path: Path) -> None:
    """Write `recording` to `path`, readable in a diff: one answer a line."""
    text = msgspec.json.encode(recording).decode()
    text = text.replace('{"question":', '\n{"question":')
    path.write_text(text + "\n", encoding="utf-8")


def _answer(row: Row, model: str, attempt: Attempt) -> Answer:
    return Answer(
        question=row.question,
        model=model,
        text=attempt.text,
        prompt_tokens=sum(call.prompt_tokens for call in attempt.calls),
        completion_tokens=sum(call.completion_tokens for call in attempt.calls),
        latency_s=attempt.latency_s,
    )


def _attempt(answer: Answer, entry: Entry, model: Model) -> Attempt:
    usage = Usage(prompt_tokens=answer.prompt_tokens, completion_tokens=answer.completion_tokens)
    cost = model.cost(usage)
    call = Call(
        model=model.name,
        purpose="draft",
        cost_usd=cost,
        latency_s=answer.latency_s,
        prompt_tokens=answer.prompt_tokens,
        completion_tokens=answer.completion_tokens,
    )
    return Attempt(
        score=entry.question.grade(answer.text),
        cost_usd=cost,
        latency_s=answer.latency_s,
        text=answer.text,
        calls=(call,),
        recorded=True,
    )
