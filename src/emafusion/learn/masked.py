"""Questions as models may see them and files may keep them: with placeholders.

A question's reference and grader hold the same placeholders as its prompt, so that an answer is
marked as if nothing had been masked. Knows no model: what is for private models alone, the
providers find out by the placeholders themselves.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from emafusion.errors import ConfigError, DataError
from emafusion.evaluate.graders import Grader
from emafusion.evaluate.questions import Question
from emafusion.learn.journal import Split
from emafusion.protect.shield import Shield
from emafusion.types import Request


async def masked(
    questions: Mapping[Split, Sequence[Question]], shield: Shield | None
) -> dict[Split, list[Question]]:
    """`questions` without what `shield` finds, those that are then equal once; masked ones stay.

    Raises
    ------
    ConfigError
        A detector did not answer: nobody knows what would be shown.
    DataError
        A reference that is masked cannot be marked by its grader; or the rules refuse a question.
    """
    found: dict[Split, list[Question]] = {split: list(part) for split, part in questions.items()}
    if shield is None:
        return found
    known: set[str] = set()
    for split, part in found.items():
        told = {one.id: one for one in [await _masked(question, shield) for question in part]}
        found[split] = [one for name, one in told.items() if name not in known]
        known.update(told)
    return found


async def _masked(question: Question, shield: Shield) -> Question:
    fields: dict[str, Any] = {
        "reference": question.reference,
        "params": dict(question.grader.params),
        "provenance": dict(question.provenance),
    }
    messages = (
        {"role": "user", "content": question.prompt},
        {"role": "assistant", "content": "", "about": fields},
    )
    found = await shield.protect(Request(id="", messages=messages), earlier=messages)
    if found.findings.failed:
        failed = ", ".join(found.findings.failed)
        raise ConfigError(f"{failed} did not answer, so that nothing was masked; run it again")
    asked, beside = found.request.messages
    told: dict[str, Any] = json.loads(json.dumps(beside["about"]))
    changed = replace(
        question,
        prompt=str(asked["content"]),
        reference=told["reference"],
        grader=Grader(type=question.grader.type, params=told["params"]),
        provenance=told["provenance"],
    )
    if changed.reference != question.reference or changed.grader != question.grader:
        _check(changed)
    return changed


def _check(question: Question) -> None:
    """Find out that what was masked cannot be marked any more."""
    try:
        question.grade("?")
    except DataError as error:
        raise DataError(
            f"a question of {question.family!r} cannot be marked once it is masked: {error}; give "
            "it another grader, or leave such values as they are in protect.kinds"
        ) from error
