"""Which kind of answer a prompt asks for, when nobody says. Knows the usual wordings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from emafusion.answers.kinds import Kind
from emafusion.answers.wording import Wording

_OPTIONS: Final = re.compile(r"(?:^|\s)\(?A[).:](?=\s).{1,400}?(?:\s)\(?B[).:](?=\s)", re.DOTALL)
_FIRST_OPTION: Final = ("A)", "A.", "A:")
_LATEX: Final = re.compile(
    r"\\(?:frac|sqrt|boxed|begin|left|cdot|log|leq?|geq?|pi)\b|\\\[|\\\("
    r"|\$(?:[A-Za-z]{1,3}'?|[^$\n]*[\\^_=(][^$\n]*)\$"
)
_CODE: Final = Wording(
    r"\b(?:write|implement|create|complete|define|code|fix|give)\b.{0,60}"
    r"\b(?:function|program|script|method|class|query|regex|def)\b"
    r"|\bpython function\b|\bin python, define\b|\bonly the code\b",
    re.DOTALL,
    holds=("function", "program", "script", "method", "class", "query", "regex", "def", "code"),
)
_OUTPUT: Final = Wording(
    r"\b(?:assert\b.*==|(?:print(?:s|ed)?|return(?:s|ed)?|output|evaluate[sd]?|result)\b.{0,80}"
    r"(?:\b(?:code|program|snippet|function|python)\b|```)|"
    r"(?:code|program|snippet|function|python)\b.{0,80}"
    r"\b(?:print(?:s|ed)?|return(?:s|ed)?|output|evaluate[sd]?|screen)\b|^output:\s*\Z)",
    re.DOTALL | re.M,
    holds=("assert", "print", "return", "output", "evaluate", "result", "screen"),
)
_DATE: Final = Wording(
    r"yyyy-mm-dd|\b(?:what|which|give the|reply with the)(?: \w+){0,2} date\b|\biso date\b",
    holds=("date", "yyyy"),
)
_NUMBER: Final = Wording(
    r"\b(?:how (?:many|much|far|long|old|tall|fast|heavy)\b|(?:which|what) year\b"
    r"|(?:the|a|one|single|only) (?:number|integer)\b|number only\b"
    r"|(?:bare|resulting|which|next|final) number\b|numbers .{1,200}\bnext one\b"
    r"|percent(?:age)?\b|(?:calculate|compute|convert|average|evaluate the expression)\b"
    r"|value of [a-z]\b|in (?:dollars|euros)\b|(?:largest|smallest|greatest)\b[^.?\n]*\d"
    r"|(?:plus|minus|times|divided by|multiplied by)\b|[a-z]\s*=\s*\Z)",
    holds=(
        "how ", "year", "number", "integer", "percent", "calculate", "compute", "convert",
        "average", "evaluate", "value of", "dollars", "euros", "largest", "smallest", "greatest",
        "plus", "minus", "times", "divided", "multiplied", "=",
    ),
)  # fmt: skip
_SUM: Final = Wording(
    r"\d\s*[-+*/×÷=%]\s*\d|=\s*\?|answer: n\b",
    holds=("-", "+", "*", "/", "×", "÷", "=", "%", "answer: n"),
)
_RULES: Final[tuple[tuple[Kind, re.Pattern[str] | Wording], ...]] = (
    ("json", Wording(r"\bjson\b|\{\s*\"\w+\"\s*:", holds=("json", "{"))),
    ("literal", Wording(r"\bassert\b.*==|\bassertion\b", re.DOTALL, holds=("assert",))),
    ("expression", _LATEX),
    ("code", _CODE),
    ("literal", _OUTPUT),
    ("date", _DATE),
    ("number", _NUMBER),
    ("number", _SUM),
)
# A story with figures in it that ends in a question asks for one more, unless it asks for a word.
_ASKS: Final = Wording(r"\b(?:what|find)\b[^?\n]{0,250}[?.]\s*\Z")
_FIGURE: Final = re.compile(r"\d+")
_WORDY: Final = Wording(
    r"\b(?:write|rewrite|explain|summari[sz]e|describe|translate|list|sort|arrange|who|classify|name"
    r"|city|weekday|word|sentence|letters?|true or false|yes or no|yes/no)\b"
)
_PROSE: Final = Wording(
    r"\b(?:rewrite|explain|summari[sz]e|summary|describe|translate|headline|classify|sort)\b"
    r"|\border the\b"
    r"|\b(?:write|compose) (?:an? |one |two )?(?:\w+ )?"
    r"(?:sentence|paragraph|story|poem|essay|text)\b"
)
_ORDERED: Final = Wording(
    r"\bletters?\b.{0,40}\bcomma|\bcommas?\b.{0,40}\bletters\b|\b[a-z], [a-z], [a-z]\b"
)
_ENDING: Final = 250
_FORMATS: Final[Mapping[str, Kind]] = {
    "choice": "choice",
    "number": "number",
    "json": "json",
    "code": "code",
}
_SURE: Final = 0.6
_TAIL: Final = 4000
_REMEMBERED: Final = 512


def guess_kind(prompt_text: str, format_probs: Mapping[str, float] | None = None) -> Kind:
    """The kind of answer a prompt asks for.

    Parameters
    ----------
    prompt_text
        The prompt; its last 4,000 characters are read, where the question usually stands.
    format_probs
        Probability of each label of the taxonomy's format axis, when known: it decides what the
        wording leaves open.

    Returns
    -------
    Kind
        ``"text"`` when neither wording nor labels say more.
    """
    tail = prompt_text[-_TAIL:]
    said = _worded(tail)
    if said is not None:
        return said
    probs = format_probs or {}
    label = max(probs, key=lambda name: probs[name], default="free_text")
    return _FORMATS.get(label, "text") if probs.get(label, 0.0) >= _SURE else "text"


@lru_cache(maxsize=_REMEMBERED)
def _worded(tail: str) -> Kind | None:
    """The kind that the wording asks for, ``None`` where it leaves that open.

    Remembered, since every judge of every draft asks.
    """
    if any(mark in tail for mark in _FIRST_OPTION) and _OPTIONS.search(tail):
        return "text" if _ORDERED.search(tail) else "choice"
    for kind, wording in _RULES:
        if wording.search(tail):
            return "text" if kind == "number" and _PROSE.search(tail) else kind
    if _tells_a_story(tail) and not _WORDY.search(tail[-_ENDING:]):
        return "number"
    return None


def _tells_a_story(tail: str) -> bool:
    """Whether two figures come before a last question.

    In two steps: one pattern for both backtracks for seconds over a long table of numbers.
    """
    ending = tail[-2 * _ENDING :]
    asks = _ASKS.search(ending)
    if asks is None:
        return False
    before = tail[: len(tail) - len(ending) + asks.start()]
    return sum(1 for _ in zip(range(2), _FIGURE.finditer(before), strict=False)) == 2
