"""What a glance at a prompt tells: length, characters, layout, notation and cue words, as numbers.

Each feature has a name in :data:`NAMES` and a value near [0, 1]. Knows no labels and no models.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from emafusion.encoders.words import clip, words

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CLASSES = {
    "lower": "abcdefghijklmnopqrstuvwxyz",
    "upper": "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "digit": "0123456789",
    "space": " ",
    "bracket": "()[]{}<>",
    "operator": "+-*/=^%&|~",
    "stop": ".,;:!?",
    "quote": "\"'`",
    "symbol": "\\$#@_",
}

# Layout and notation: how often each occurs, as log(1 + count) / 4.
_COUNTED = {
    "lines": "\n",
    "paragraphs": "\n\n",
    "dollars": "$",
    "backslashes": "\\",
    "pipes": "|",
    "questions": "?",
    "semicolons": ";\n",
    "equals": "=",
    "percents": "%",
    "blanks": "__",
    "fences": "```",
    "at_signs": "@",
    "double_quotes": '"',
    "keys": '":',
    "parentheses": "(",
    "empty_calls": "()",
    "ellipses": "...",
    "commas": ",",
}
_LINES = ("options", "bullets", "indented", "fields")
_BULLETS = ("- ", "* ", "• ")
_CODE_WORDS = frozenset(
    "def return import class assert const var let void elif select from print func struct lambda".split()
)

# Cue words and pairs of words: whether any of the group occurs near the start or the end.
_CUES = {
    "ask_count": "how many|how much|how far|how long|how old|what percentage|in total|altogether",
    "ask_fact": "what is|what are|who|when|where|which|what was|what does",
    "ask_reason": "why|how does|how do|explain|describe|how can",
    "ask_choice": "which of|the following|choose|select|best answer|correct option|multiple choice|following is",
    "compute": "calculate|compute|evaluate|solve|find the|determine|simplify|prove|let $",
    "summarise": "summarize|summarise|summary|tldr|key points|takeaways|condense|recap|shorten|gist|main points",
    "translate": "translate|translation|translated|into french|into english|into german|into spanish",
    "rewrite": "rewrite|rephrase|paraphrase|proofread|edit|polish|improve|reword|rewritten|tone",
    "extract": "extract|pull out|list all|identify all|find all|parse|mentioned in|every mention",
    "classify": "classify|categorize|categorise|label|sentiment|category|categories|spam|tag|classification",
    "write": "write|draft|compose|create|generate|come up|brainstorm|suggest|story|poem|slogan",
    "program": "function|code|script|program|python|javascript|java|sql|regex|implement|api|method|bug",
    "plan": "plan|schedule|roadmap|itinerary|steps|agenda|strategy|timeline|milestones|week by",
    "tools": "tool|tools|call the|use the|search for|look up|book|send|fetch|function call|available functions",
    "json": "json|schema|yaml|xml|keys",
    "table": "table|csv|spreadsheet|column|columns|row|rows|markdown",
    "chat": "hi|hello|hey|thanks|thank you|i feel|i am|you are|pretend|i ve|i m|how are",
    "logic": "only if|all|every|some|none|therefore|implies|must be|taller|true|false|statement|liar|exactly one",
    "letter": "dear|regards|subject|email|mail|letter|reply|inbox",
}

_SCALARS = (
    "log_chars",
    "log_words",
    "word_length",
    "long",
    "ends_question",
    "starts_code",
    "not_ascii",
)
_COUNT_NAMES = ("numbers", "code_words", *_LINES, *_COUNTED)
NAMES: tuple[str, ...] = (
    *_SCALARS,
    *(f"share_{name}" for name in _CLASSES),
    *_COUNT_NAMES,
    *(f"cue_{name}" for name in _CUES),
)
"""The features' names, in the order of their columns."""

_EDGE = 80
"""Words at either end of a prompt in which cues are looked for: instructions stand there."""


@cache
def _cues() -> tuple[dict[str, int], dict[tuple[str, str], int]]:
    single: dict[str, int] = {}
    pairs: dict[tuple[str, str], int] = {}
    for index, group in enumerate(_CUES.values()):
        for phrase in group.split("|"):
            first, _, second = phrase.partition(" ")
            if second:
                pairs[first, second] = index
            else:
                single[first] = index
    return single, pairs


@cache
def _classes() -> NDArray[np.float64]:
    table = np.zeros((256, len(_CLASSES)))
    for column, characters in enumerate(_CLASSES.values()):
        table[list(characters.encode()), column] = 1.0
    return table


def features(texts: Sequence[str]) -> NDArray[np.float32]:
    """The surface features of `texts`, shape ``(len(texts), len(NAMES))``, float32.

    Very long texts are read at their start and end only (see :func:`encoders.words.clip`); their
    length is exact.
    """
    out = np.zeros((len(texts), len(NAMES)), dtype=np.float32)
    for row, text in enumerate(texts):
        out[row] = _one(text)
    return out


def _one(text: str) -> list[float]:
    read = clip(text)
    tokens = words(read)
    encoded = np.frombuffer(read.encode("latin-1", "replace"), dtype=np.uint8)
    shares = np.bincount(encoded, minlength=256) @ _classes() / max(1, len(encoded))
    numbers = sum(map(str.isdigit, tokens))
    counts = [numbers, sum(token in _CODE_WORDS for token in tokens), *_layout(read)]
    counts += [read.count(mark) for mark in _COUNTED.values()]
    return [
        *_scalars(text, read),
        *shares.tolist(),
        *(math.log1p(count) / 4.0 for count in counts),
        *_found(tokens),
    ]


def _scalars(text: str, read: str) -> list[float]:
    spaces = read.count(" ") + read.count("\n") + 1
    stripped = read.strip()
    return [
        math.log1p(len(text)) / 10.0,
        math.log1p(spaces) / 8.0,
        min(len(read) / spaces, 20.0) / 10.0,
        min(1.0, len(text) / 8000.0),
        float(stripped.endswith("?")),
        float(stripped.startswith(("def ", "class ", "import ", "```", "[", "{", "<", "#"))),
        float(not read.isascii()),
    ]


def _layout(read: str) -> list[int]:
    options = bullets = indented = fields = 0
    for line in read.split("\n"):
        body = line.lstrip()
        indented += len(line) - len(body) >= 4
        head = body[:3].lstrip("(")
        if head[1:2] in {")", ".", ":"} and head[:1].isalpha():
            options += 1
        elif body.startswith(_BULLETS) or (head[:1].isdigit() and head[1:2] in {".", ")"}):
            bullets += 1
        elif 0 < body.find(":", 1, 26) and body[:1].isupper():
            fields += 1
    return [options, bullets, indented, fields]


def _found(tokens: list[str]) -> list[float]:
    edges = tokens if len(tokens) <= 2 * _EDGE else [*tokens[:_EDGE], *tokens[-_EDGE:]]
    single, pairs = _cues()
    found = [0.0] * len(_CUES)
    for token in single.keys() & set(edges):
        found[single[token]] = 1.0
    for pair in pairs.keys() & set(itertools.pairwise(edges)):
        found[pairs[pair]] = 1.0
    return found
