"""What a glance at a prompt tells: length, characters, layout, notation and cue words, as numbers.

Each feature has a name in :data:`NAMES` and a value near [0, 1]. Knows no labels and no models.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING

import numpy as np

from emafusion.encoders.words import clip, words

if TYPE_CHECKING:
    from numpy.typing import NDArray

REMEMBERED = 1024
"""Texts whose features are kept: those of requests in progress, and of a batch."""
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
    [
        "def",
        "return",
        "import",
        "class",
        "assert",
        "const",
        "var",
        "let",
        "void",
        "elif",
        "select",
        "from",
        "print",
        "func",
        "struct",
        "lambda",
    ]
)

# Cue words and pairs of words: whether any of the group occurs near the start or the end, and
# whether one stands among the opening words.
_CUES = {
    "ask_count": (
        "how many|how much|how far|how long|how old|how tall|percentage|in total|"
        "altogether|left over|how fast"
    ),
    "ask_fact": "what is|what are|who|when|where|which|what was|what does|whose|what s|name",
    "ask_reason": (
        "why|how does|how do|explain|describe|how can|reason|causes|cause|discuss|"
        "difference|compare|analyse|analyze"
    ),
    "ask_choice": (
        "which of|the following|choose|select|best answer|correct option|multiple choice|"
        "pick|option|options"
    ),
    "compute": (
        "calculate|compute|evaluate|solve|find the|determine|simplify|what value|"
        "remainder|sum of|minimum|maximum|average"
    ),
    "prove": "prove|show that|proof|derive|theorem|let x|let f|integrate|differentiate|factor",
    "summarise": (
        "summarize|summarise|summary|tldr|tl|takeaways|condense|recap|shorten|gist|"
        "key points|main points|digest|abstract|overview|sum up|in short|boil|outline|"
        "briefly"
    ),
    "translate": (
        "translate|translation|translated|localise|localize|in english|into english|"
        "english to|say in"
    ),
    "tongue": (
        "french|spanish|german|italian|japanese|portuguese|chinese|mandarin|arabic|hindi|"
        "korean|dutch|polish|turkish|swedish|russian|greek|latin|english"
    ),
    "rewrite": (
        "rewrite|rephrase|paraphrase|edit|polish|improve|reword|rewritten|revise|"
        "make this|make it|make the|simplify this|sound more|say this|say the|reformat|"
        "convert|turn this|expand"
    ),
    "proofread": (
        "proofread|grammar|spelling|typos|punctuation|correct the|correct this|fix the|"
        "fix typos|mistakes|clumsy|wording"
    ),
    "extract": (
        "extract|pull|find all|parse|mentioned|retrieve|copy|quote|highlight|scan|grab|"
        "collect|identify|pick out|list all|list every|list the|named entity"
    ),
    "classify": (
        "classify|categorize|categorise|label|labels|sentiment|category|categories|spam|"
        "tag|classification|positive|negative|neutral|priority|class|folder|route|sort"
    ),
    "write": (
        "write|draft|compose|create|generate|come up|brainstorm|suggest|invent|prepare|"
        "give me|think of|produce|make up"
    ),
    "genre": (
        "story|poem|haiku|essay|slogan|song|lyrics|article|blog|post|speech|joke|novel|"
        "letter|advertisement|headline|title|titles|names|ideas|script|biography|recipe|"
        "tweets|questions"
    ),
    "program": (
        "function|code|program|python|javascript|typescript|java|sql|regex|implement|api|"
        "method|bug|class|query|script|bash|dockerfile|html|css|repository|loop|"
        "algorithm|compile|makefile|workflow|rust|kotlin"
    ),
    "change_code": (
        "implement|refactor|port|debug|fix|optimise|optimize|convert|add|build|"
        "unit tests|tests|write a|write code"
    ),
    "read_code": (
        "output|outputs|prints|printed|returns|return value|does this|does it|trace|"
        "predict|executing|execute|literal|complexity of|explain|review|what does|assert|"
        "assertion|evaluates|result of|walk me"
    ),
    "plan": (
        "plan|schedule|roadmap|itinerary|agenda|strategy|timeline|milestones|organise|"
        "organize|phase|checklist|routine|programme|timetable|action plan|step by"
    ),
    "span": "day|days|week|weeks|month|months|budget|deadline|deadlines|goals|goal|sprints",
    "tools": (
        "tool|tools|call the|use the|search for|look up|book me|send an|fetch|"
        "function call|available functions|functions|api|agent|reminder|calendar|timer|"
        "alarm|set a|turn off|google"
    ),
    "json": "json|schema|yaml|xml|keys|key value|object with",
    "table": "table|csv|spreadsheet|column|columns|row|rows|markdown|tabulate|tabular",
    "only_number": (
        "number only|only the|just the|digits only|a number|single number|reply with|"
        "final number|whole number|whole|boxed"
    ),
    "greet": (
        "hi|hello|hey|thanks|thank you|good morning|good night|bye|nice to|lol|haha|ok|"
        "sorry|how are|what s"
    ),
    "feel": (
        "i feel|i m|i am|feeling|sad|anxious|lonely|stressed|happy|bored|tired|excited|"
        "my friend|favourite|favorite|do you|are you|you re|advice"
    ),
    "role": (
        "pretend|act as|role|imagine|you are|you play|in character|conversation|chat|"
        "debate|talk|interviewer|let s"
    ),
    "logic": (
        "only if|every|some|none|therefore|implies|must be|taller|true|false|statement|"
        "liar|lying|exactly one|knights|knave|premise|premises|conclusion|valid|puzzle|"
        "if all|sequence|next"
    ),
    "letter": "dear|regards|subject|email|mail|letter|reply|inbox|sincerely|best",
    "source_text": (
        "following text|text|passage|paragraph|article|document|transcript|below|above|"
        "context|report|notes|message|review"
    ),
    "number_words": (
        "two|three|four|five|six|seven|eight|nine|ten|twelve|twice|half|third|quarter|"
        "dozen|double|triple|times|each"
    ),
    "steps": "first|then|finally|second|and then|afterwards|also|as well|step 2",
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
_JOINT = ("two_numbers", "counting_story", "story_question", "formula_question", "code_question")
_COUNT_NAMES = ("numbers", "code_words", *_LINES, *_COUNTED)
NAMES: tuple[str, ...] = (
    *_SCALARS,
    *(f"share_{name}" for name in _CLASSES),
    *_COUNT_NAMES,
    *_JOINT,
    *(f"cue_{name}" for name in _CUES),
    *(f"opens_{name}" for name in _CUES),
)
"""The features' names, in the order of their columns."""

_ASK_COUNT = list(_CUES).index("ask_count")
_NUMBER_WORDS = frozenset(_CUES["number_words"].split("|"))
_OPENING = 6
_EDGE = 60
"""Words at either end of a prompt in which cues are looked for: instructions stand there."""


@cache
def _cues() -> tuple[dict[str, list[int]], dict[tuple[str, str], list[int]], frozenset[str]]:
    """The groups of each cue word and each pair, and the words that pairs begin with."""
    single: dict[str, list[int]] = {}
    pairs: dict[tuple[str, str], list[int]] = {}
    for index, group in enumerate(_CUES.values()):
        for phrase in group.split("|"):
            first, _, second = phrase.partition(" ")
            if second:
                pairs.setdefault((first, second), []).append(index)
            else:
                single.setdefault(first, []).append(index)
    return single, pairs, frozenset(first for first, _ in pairs)


@cache
def _classes() -> bytes:
    """Each character of a class as the class's number, all others as a number beyond."""
    table = bytearray([len(_CLASSES)]) * 256
    for number, characters in enumerate(_CLASSES.values()):
        for character in characters.encode():
            table[character] = number
    return bytes(table)


def features(texts: Sequence[str]) -> NDArray[np.float32]:
    """The surface features of `texts`, shape ``(len(texts), len(NAMES))``, float32.

    Very long texts are read at their start and end only (see :func:`encoders.words.clip`); their
    length is exact.
    """
    out = np.zeros((len(texts), len(NAMES)), dtype=np.float32)
    for place, text in enumerate(texts):
        out[place] = row(text)
    return out


@lru_cache(maxsize=REMEMBERED)
def row(text: str) -> NDArray[np.float32]:
    """One text's features, read-only; the classifier and the routers read a prompt in turn."""
    # Made wide and then narrowed: of a list, that takes half as long.
    found = np.array(_one(text)).astype(np.float32)
    found.flags.writeable = False
    return found


def _one(text: str) -> list[float]:
    read = clip(text)
    tokens = words(read)
    known = set(tokens)
    drawn = read.encode("latin-1", "replace").translate(_classes())
    size = max(1, len(drawn))
    numbers = sum(map(str.isdigit, tokens))
    counts = [numbers, _count(_CODE_WORDS, tokens, known=known), *_layout(read)]
    marks = {name: read.count(mark) for name, mark in _COUNTED.items()}
    cues = _found(tokens, known)
    joint = _joint(
        numbers + _count(_NUMBER_WORDS, tokens, known=known),
        counts[2],
        marks=marks,
        asks_count=cues[_ASK_COUNT] > 0.0,
    )
    return [
        *_scalars(text, read),
        *[drawn.count(number) / size for number in range(len(_CLASSES))],
        *map(_damped, counts),
        *map(_damped, marks.values()),
        *joint,
        *cues,
    ]


def _count(wanted: frozenset[str], tokens: list[str], *, known: set[str]) -> int:
    """How many of `tokens`, which are `known` without repeats, are `wanted`."""
    return 0 if wanted.isdisjoint(known) else sum(map(wanted.__contains__, tokens))


@lru_cache(maxsize=256)
def _damped(count: int) -> float:
    return math.log1p(count) / 4.0


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
        elif body.find(":", 1, 26) > 0 and body[:1].isupper():
            fields += 1
    return [options, bullets, indented, fields]


def _joint(
    numbers: int, options: int, *, marks: Mapping[str, int], asks_count: bool
) -> list[float]:
    """What a linear model cannot add up: a question with numbers but no options, and the like."""
    prose = options < 3 and marks["backslashes"] < 2 and marks["keys"] == 0
    asks = marks["questions"] > 0
    return [
        float(numbers >= 2),
        float(prose and numbers >= 2 and asks_count),
        float(prose and numbers >= 3 and asks),
        float(options < 3 and marks["backslashes"] + marks["dollars"] >= 2),
        float(options < 3 and marks["equals"] >= 2 and marks["parentheses"] >= 2),
    ]


def _found(tokens: list[str], known: set[str]) -> list[float]:
    if len(tokens) > 2 * _EDGE:
        tokens = [*tokens[:_EDGE], *tokens[-_EDGE:]]
        known = set(tokens)
    opening = tokens[:_OPENING]
    return [*_hits(tokens, known), *_hits(opening, set(opening))]


def _hits(tokens: list[str], known: set[str]) -> list[float]:
    single, pairs, begin = _cues()
    found = [0.0] * len(_CUES)
    for token in single.keys() & known:
        for group in single[token]:
            found[group] = 1.0
    begun = itertools.compress(itertools.pairwise(tokens), map(begin.__contains__, tokens))
    for pair in pairs.keys() & set(begun):
        for group in pairs[pair]:
            found[group] = 1.0
    return found
