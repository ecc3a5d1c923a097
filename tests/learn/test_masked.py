"""Questions with placeholders: marked as before, once each, or refused."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import pytest

from emafusion.errors import ConfigError, DataError
from emafusion.evaluate.graders import Grader
from emafusion.evaluate.questions import Question
from emafusion.learn.journal import Split
from emafusion.learn.masked import masked
from emafusion.protect.entities import Entity
from emafusion.protect.placeholders import Mint
from emafusion.protect.rules import Rules
from emafusion.protect.shield import Shield

from .collecting import sums

MAIL = "jane.roe@harbour.example"


class Finds:
    """A detector of a pattern, which fails at a word."""

    name = "pattern"

    async def detect(self, text: str) -> Sequence[Entity]:
        if "fail" in text:
            raise ValueError(text)
        found = re.finditer(r"(?i:jane\.roe@harbour\.example)|\b4155552671\b|EMAIL_\w+", text)
        return [Entity(kind="EMAIL", start=one.start(), end=one.end()) for one in found]


SHIELD = Shield(Mint(b"a secret of sixteen bytes"), [Finds()], rules=Rules())


def question(prompt: str, reference: str, grader: Grader, **provenance: str) -> Question:
    [one] = sums(1)
    return replace(one, prompt=prompt, reference=reference, grader=grader, provenance=provenance)


GRADERS = [
    (MAIL, Grader(type="exact", params={"aliases": [f"<{MAIL}>"]})),
    (f'{{"to": "{MAIL}"}}', Grader(type="json")),
    ("", Grader(type="constraint", params={"include": [MAIL]})),
]


@pytest.mark.parametrize(("reference", "grader"), GRADERS)
async def test_an_answer_is_marked_as_before(reference: str, grader: Grader) -> None:
    before = question(f"Who? {MAIL}", reference, grader, mail=MAIL)
    found = await masked({"train": [before]}, SHIELD)
    [after] = found["train"]
    assert MAIL not in after.to_json()
    mail = re.search(r"\[EMAIL_\w+\]", after.prompt)
    assert mail is not None
    for said in (reference or f"It is {MAIL}.", "nothing"):
        assert after.grade(said.replace(MAIL, mail[0])) == before.grade(said)
    assert await masked(found, SHIELD) == found


async def test_what_is_equal_once_it_is_masked_is_one_question() -> None:
    said = [question(f"Who? {one}", "x", Grader(type="exact")) for one in (MAIL, MAIL.title())]
    found = await masked({"train": said[:1], "test": [*said[1:], *sums(1)]}, SHIELD)
    assert len(found["train"]) == 1
    assert found["test"] == sums(1)


async def test_nothing_to_mask_changes_nothing() -> None:
    parts: dict[Split, list[Question]] = {"train": sums(3)}
    assert await masked(parts, SHIELD) == parts
    assert await masked(parts, None) == parts


async def test_what_cannot_be_right_is_refused() -> None:
    number = question("Her number?", "4155552671", Grader(type="number"))
    with pytest.raises(
        DataError, match=r"'sum' cannot be marked once it is masked.*protect\.kinds"
    ):
        await masked({"train": [number]}, SHIELD)
    with pytest.raises(ConfigError, match="pattern did not answer"):
        await masked({"train": [replace(number, prompt="fail")]}, SHIELD)
