"""Lets a language model supply slot values and further wordings.

Knows what to ask it for and what of its text may be used; asking, paying, and remembering what was
paid for are the collector's business. The model's text is data: it becomes a value or a template
only after the checks below, and a wording that lost a slot, a number, a quoted word or an option is
dropped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from emafusion.answers import phrase
from emafusion.evaluate.graders import Grader
from emafusion.evaluate.questions import Question
from emafusion.learn.bounds import Bounds
from emafusion.learn.collect import Progress, collect
from emafusion.learn.interchange import Recorded
from emafusion.learn.journal import Journal
from emafusion.learn.seeds.reading import Source
from emafusion.learn.seeds.seed import Seed, Wording
from emafusion.learn.seeds.slots import Generated
from emafusion.learn.seeds.templates import SLOT

if TYPE_CHECKING:
    from emafusion.protocols import Provider
    from emafusion.types import Model

FOLDER: Final = "generator"
"""Below the questions' folder: what the model was asked and said, so that nothing is paid twice."""
STYLES: Final = ("in other words", "more formally", "more briefly", "as a polite question")
TURNS: Final = 3
"""How often a slot that still lacks values, or a wording that failed a check, is asked for."""

_MOST_TOKENS: Final = 400
_MOST_AT_ONCE: Final = 40
_LONGEST_VALUE: Final = 60
_MOST_WORDS: Final = 8
_GROWTH: Final = (0.4, 2.5)
_MARKER: Final = re.compile(r"^\s*(?:[-*•]|\(?\d{1,3}[.):])\s*")
_UNFIT: Final = re.compile(r"[{}<>\x00-\x1f\x7f]|```")
_LITERAL: Final = re.compile(r"\d+|\b[A-Z][A-Z-]+\b|\"[^\"]+\"|(?<!\w)'[^']+'(?!\w)")
_OPTIONS: Final = re.compile(
    r"\w+(?:\s*[,/]\s*\w+)+,?\s+(?:or|and)\s+\w+|\w+(?:\s*[,/]\s*\w+){2,}|\w+\s*/\s*\w+|yes or no"
)
_JOINED: Final = re.compile(r"\W+|\b(?:or|and)\b")
_FORM: Final = re.compile(
    r"\b(sentence|word|bullet|paragraph|line|list|table|json|capital|two|three|four|five|six|seven|"
    r"eight|nine|ten)s?\b",
    re.I,
)
_BRIEF: Final = re.compile(
    r"\b(?:only|just|one word|single|nothing but|nothing else|no more)\b", re.I
)


class Supply(Struct, frozen=True, kw_only=True):
    """What a generator model gave.

    ``values`` and ``wordings`` count what was taken, ``dropped`` the wordings that failed a check,
    ``calls`` the answers had in this run, ``spent_usd`` US dollars in all runs on the folder;
    ``stopped`` says why it was not asked everything, if so.
    """

    model: str
    values: int
    wordings: int
    dropped: int
    calls: int
    spent_usd: float
    stopped: str | None = None


async def supply(
    sources: Sequence[Source],
    model: Model,
    *,
    providers: Mapping[str, Provider],
    folder: Path,
    budget_usd: float | None,
    progress: Callable[[Progress], None] | None = None,
) -> tuple[tuple[Source, ...], Supply]:
    """The seeds with the values and wordings that `model` supplies; families stay as they are.

    Run again on the same folder, which keeps the answers below ``generator``, it asks only what it
    has no answer to yet. ``budget_usd`` is what that folder may cost in all, US dollars: no call is
    made that could exceed it. ``progress`` is told each answer.

    Raises
    ------
    StoreError
        The answers cannot be kept, or another process is asking for the same folder.
    """
    seeds = {one.name: one for one in sources if isinstance(one, Seed)}
    bounds = Bounds(budget_usd=budget_usd, per_model=4, max_tokens=_MOST_TOKENS)
    made, offered, calls, spent = dict(seeds), set[str](), 0, 0.0
    stopped: str | None = None
    for turn in range(TURNS):
        asked = {name: list(_questions(seed, turn)) for name, seed in made.items()}
        posed = [question for part in asked.values() for question in part]
        if stopped is not None or (turn and not posed):
            break
        report = await collect(
            {"train": posed},
            [model],
            providers=providers,
            folder=folder / FOLDER,
            bounds=bounds,
            progress=progress,
        )
        calls, spent = calls + report.asked, report.spent_usd
        stopped = report.stopped.get(model.name)
        texts = _texts(folder / FOLDER, model)
        offered |= {one.id for one in posed if one.family == "wording" and one.id in texts}
        made = {
            name: _extended(seed, asked[name], texts=texts, model=model.name)
            for name, seed in made.items()
        }
    told = Supply(
        model=model.name,
        values=0,
        wordings=0,
        dropped=0,
        calls=calls,
        spent_usd=spent,
        stopped=stopped,
    )
    return tuple(made.get(one.name, one) for one in sources), _counted(
        told, seeds, made=made, offered=len(offered)
    )


def _counted(
    told: Supply, seeds: Mapping[str, Seed], *, made: Mapping[str, Seed], offered: int
) -> Supply:
    """`told` with what was taken of `offered` wordings, and of the values."""
    wordings = sum(len(made[name].wordings) - len(seed.wordings) for name, seed in seeds.items())
    values_ = sum(_values(made[name]) - _values(seed) for name, seed in seeds.items())
    return msgspec.structs.replace(
        told, values=values_, wordings=wordings, dropped=offered - wordings
    )


def _texts(folder: Path, model: Model) -> dict[str, str]:
    """What `model` has said to each question, by its id."""
    with Journal(folder) as journal:
        replies = Recorded(journal.rows()).replies
    return {cell[0]: row.text for cell, row in replies.items() if cell[1] == model.name}


def values(text: str) -> list[str]:
    """The values in a reply: short lines without their markers, each once.

    Of a reply that is one line, what stands between its commas.
    """
    written = text.strip().splitlines()
    if len(written) == 1 and written[0].count(",") > 1:
        written = written[0].split(",")
    lines = (_MARKER.sub("", line.strip()).strip(" \t\"'*`.,;") for line in written)
    fit = [
        line
        for line in lines
        if line
        and len(line) <= _LONGEST_VALUE
        and len(line.split()) <= _MOST_WORDS
        and not line.endswith(":")
        and not _UNFIT.search(line)
    ]
    found: dict[str, str] = {}
    for line in fit:
        found.setdefault(phrase.fold(line) or line, line)
    return list(found.values())


def reworded(text: str, original: str) -> str | None:
    """The wording in a reply, or ``None`` where it does not ask the same as `original`.

    Every slot must be there as often as before, and every number, quoted word, option and name in
    capitals; what it says of sentences, lists and the like, and a demand for brevity, must stay;
    and no further braces or code may have come in.
    """
    found = text.strip().strip('"`').strip()
    lead, _, rest = found.partition("\n")
    if lead.rstrip().endswith(":") and rest.strip():
        found = rest.strip()
    low, high = _GROWTH
    return (
        found
        if (
            low * len(original) <= len(found) <= high * len(original)
            and _slots(found) == _slots(original)
            and not _UNFIT.search(SLOT.sub("", found))
            and _literals(original) <= _literals(found)
            and all(word in found.casefold() for word in _options(original))
            and _form(original) <= _form(found)
            and (not _BRIEF.search(original) or _BRIEF.search(found) is not None)
        )
        else None
    )


def _questions(seed: Seed, turn: int) -> Iterator[Question]:
    """What `seed` still lacks: values, and a further wording of each of its own."""
    for name, slot in seed.hungry().items():
        yield _question(_ask_values(slot), "value", f"{seed.name}/{name}")
    there = {wording.id for wording in seed.wordings}
    for place, wording in enumerate(seed.wordings):
        if wording.generator is None and f"g{wording.id}" not in there:
            style = STYLES[(place + turn) % len(STYLES)]
            yield _question(_ask_wording(wording, style), "wording", f"{seed.name}/{wording.id}")


def _question(prompt: str, kind: str, about: str) -> Question:
    return Question(
        prompt=prompt,
        reference="",
        grader=Grader(type="constraint", params={"min_words": 1}),
        labels={
            "task": "generation",
            "complexity": "single_step",
            "domain": "general",
            "format": "free_text",
        },
        family=kind,
        phrasing=0,
        held_out=False,
        difficulty=1,
        provenance={"about": about},
    )


def _ask_values(slot: Generated) -> str:
    lacking = min(slot.count - slot.size, _MOST_AT_ONCE)
    examples = f" Others than these: {', '.join(map(str, slot.values))}." if slot.values else ""
    return (
        f"Write a list of {lacking} different {slot.wanted}. One per line, without numbers, "
        f"quotation marks or comments.{examples}"
    )


def _ask_wording(wording: Wording, style: str) -> str:
    slots = ", ".join(dict.fromkeys(_slots(wording.text)))
    keep = f" Keep {slots} exactly as it stands." if slots else ""
    return (
        f"Rewrite the instruction below {style}. Keep its meaning, every number and every quoted "
        f"word, all options it names, and what it says about the form of the reply.{keep} Do not "
        f"carry it out. Give only the rewritten instruction.\n\n{wording.text}"
    )


def _extended(
    seed: Seed, asked: Sequence[Question], *, texts: Mapping[str, str], model: str
) -> Seed:
    """`seed` with what of the model's texts on what was `asked` passed the checks."""
    slots, wordings = dict(seed.slots), list(seed.wordings)
    taken = {phrase.fold(wording.text) for wording in wordings}
    by_id = {wording.id: wording for wording in seed.wordings}
    for question in asked:
        text = texts.get(question.id)
        if text is None:
            continue
        name = str(question.provenance["about"]).removeprefix(f"{seed.name}/")
        slot = slots.get(name)
        if question.family == "value" and isinstance(slot, Generated):
            slots[name] = slot.extended(values(text))
            continue
        source = by_id[name]
        found = reworded(text, source.text)
        if found is not None and phrase.fold(found) not in taken:
            taken.add(phrase.fold(found))
            # It serves the splits of the wording that it says in other words.
            made = Wording(id=f"g{source.id}", text=found, splits=source.splits, generator=model)
            wordings.append(made)
    return replace(seed, slots=slots, wordings=tuple(wordings))


def _values(seed: Seed) -> int:
    return sum(slot.size for slot in seed.slots.values() if isinstance(slot, Generated))


def _slots(text: str) -> list[str]:
    return sorted(found.group() for found in SLOT.finditer(text))


def _literals(text: str) -> set[str]:
    return set(_LITERAL.findall(SLOT.sub("", text)))


def _form(text: str) -> set[str]:
    return {word.lower() for word in _FORM.findall(SLOT.sub("", text))}


def _options(text: str) -> set[str]:
    parts = " ".join(_OPTIONS.findall(SLOT.sub("", text).casefold()))
    return {part for part in _JOINED.split(parts) if part}
