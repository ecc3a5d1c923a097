"""Does a draft's reasoning arrive at the option it names? What multiple-choice drafts give away.

Knows how options are written and how to look for one in a text; not which option is right.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import NamedTuple

NAMES: tuple[str, ...] = (
    "option_stated", "option_mentions", "rival_stated", "rival_mentions", "option_computed",
    "option_gap", "option_number", "option_overlap", "label_repeated",
)  # fmt: skip
"""The columns, in order; all 0 where the question offers no options."""

OPTION = re.compile(r"^[ \t]*\(?([A-Z])[).:][ \t]*(\S[^\n]*)$", re.MULTILINE)
FIRST, FEWEST = "A", 2
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
WORDS = re.compile(r"[^a-z0-9.]+")
BODY = 6000
"""Characters of a draft that are looked at."""
CONCLUSION = 60
"""Characters at its end that state the choice, where every draft names its option."""
TAIL = 700
WIDEST_GAP = 3.0
EQUAL = 0.005


class Options(NamedTuple):
    """What a question offers: each option by its label, as written and in plain words.

    ``question`` is what comes before them.
    """

    wording: Mapping[str, str] = {}
    plain: Mapping[str, str] = {}
    question: str = ""


def offered(text: str) -> Options:
    """The options of a question: the last lines labelled A, B, C …; empty where it offers none."""
    end = text[-BODY:]
    run: list[re.Match[str]] = []
    for line in OPTION.finditer(end):
        if line[1] == FIRST:
            run = [line]
        elif run and ord(line[1]) == ord(run[-1][1]) + 1:
            run.append(line)
    if len(run) < FEWEST:
        return Options()
    wording = {line[1]: line[2] for line in run}
    return Options(
        wording=wording,
        plain={label: plain(words) for label, words in wording.items()},
        question=end[: run[0].start()],
    )


def read(text: str, label: str | None, options: Mapping[str, str]) -> list[float]:
    """The row of :data:`NAMES` for a draft that chooses `label` among `options`, in plain words."""
    if label is None or label not in options:
        return [0.0] * len(NAMES)
    body = plain(text[:BODY])
    argued = body[:-CONCLUSION]
    mine = options[label]
    mentions = argued.count(mine) if mine else 0
    others = [words for other, words in options.items() if other != label and words]
    rivals = sum(words in argued for words in others)
    gap = _gap(text, mine)
    words = set(mine.split())
    return [
        float(mentions > 0),
        math.log1p(mentions),
        float(rivals > 0),
        math.log1p(rivals),
        float(gap < EQUAL),
        gap,
        float(NUMBER.search(mine) is not None),
        len(words & set(body[-TAIL:].split())) / (1 + len(words)),
        float(text.count(f"{label})") + text.count(f"{label}.") > 1),
    ]


def plain(text: str) -> str:
    """`text` in lower case, words and numbers alone."""
    return WORDS.sub(" ", text.lower()).strip(" .")


def _gap(text: str, option: str) -> float:
    """How far the last numbers of a draft are from its option's first, in shares of it."""
    wanted = NUMBER.search(option)
    found = NUMBER.findall(text[-1500:].replace(",", ""))[-8:]
    if wanted is None or not found:
        return WIDEST_GAP
    value = float(wanted.group()[:30])
    scale = abs(value) + 1e-6
    return min(WIDEST_GAP, *(abs(float(one[:30]) - value) / scale for one in found))
