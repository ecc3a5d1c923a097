"""Which kind of answer a prompt asks for, when nobody says. Knows the usual wordings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from emafusion.answers.kinds import Kind

_OPTIONS: Final = re.compile(r"(?:^|\s)\(?A[).:](?=\s).{1,400}?(?:\s)\(?B[).:](?=\s)", re.DOTALL)
_LATEX: Final = re.compile(
    r"\\(?:frac|sqrt|boxed|begin|left|cdot|log|leq?|geq?|pi)\b|\\\[|\\\("
    r"|\$(?:[A-Za-z]{1,3}'?|[^$\n]*[\\^_=(][^$\n]*)\$"
)
_CODE: Final = re.compile(
    r"\b(?:write|implement|create|complete|define|code|fix|give)\b.{0,60}"
    r"\b(?:function|program|script|method|class|query|regex|def)\b"
    r"|\bpython function\b|\bin python, define\b|\bonly the code\b",
    re.I | re.DOTALL,
)
_OUTPUT: Final = re.compile(
    r"\bassert\b.*==|\b(?:print(?:s|ed)?|return(?:s|ed)?|output|evaluate[sd]?|result)\b.{0,80}"
    r"(?:\b(?:code|program|snippet|function|python)\b|```)|"
    r"\b(?:code|program|snippet|function|python)\b.{0,80}"
    r"\b(?:print(?:s|ed)?|return(?:s|ed)?|output|evaluate[sd]?|screen)\b|^output:\s*\Z",
    re.I | re.DOTALL | re.M,
)
_DATE: Final = re.compile(
    r"YYYY-MM-DD|\b(?:what|which|give the|reply with the)(?: \w+){0,2} date\b|\bISO date\b", re.I
)
_NUMBER: Final = re.compile(
    r"\bhow (?:many|much|far|long|old|tall|fast|heavy)\b|\b(?:which|what) year\b"
    r"|\b(?:the|a|one|single|only) (?:number|integer)\b|\bnumber only\b|answer: n\b"
    r"|\b(?:bare|resulting|which|next|final) number\b|\bnumbers .{1,200}\bnext one\b"
    r"|\bpercent(?:age)?\b|\b(?:calculate|compute|convert|average|evaluate the expression)\b"
    r"|=\s*\?|\bvalue of [a-z]\b|\b[a-z]\s*=\s*\Z|\bin (?:dollars|euros)\b"
    r"|\b(?:largest|smallest|greatest)\b[^.?\n]*\d"
    r"|\d\s*[-+*/×÷=%]\s*\d|\b(?:plus|minus|times|divided by|multiplied by)\b",
    re.I,
)
_RULES: Final[tuple[tuple[Kind, re.Pattern[str]], ...]] = (
    ("json", re.compile(r"\bjson\b|\{\s*\"\w+\"\s*:", re.I)),
    ("literal", re.compile(r"\bassert\b.*==|\bassertion\b", re.I | re.DOTALL)),
    ("expression", _LATEX),
    ("code", _CODE),
    ("literal", _OUTPUT),
    ("date", _DATE),
    ("number", _NUMBER),
)
# A story with figures in it that ends in a question asks for one more, unless it asks for a word.
_ASKS: Final = re.compile(r"\b(?:what|find)\b[^?\n]{0,250}[?.]\s*\Z", re.I)
_FIGURE: Final = re.compile(r"\d+")
_WORDY: Final = re.compile(
    r"\b(?:write|rewrite|explain|summari[sz]e|describe|translate|list|sort|arrange|who|classify|name"
    r"|city|weekday|word|sentence|letters?|true or false|yes or no|yes/no)\b",
    re.I,
)
_PROSE: Final = re.compile(
    r"\b(?:rewrite|explain|summari[sz]e|summary|describe|translate|headline|classify|sort)\b"
    r"|\border the\b"
    r"|\b(?:write|compose) (?:an? |one |two )?(?:\w+ )?"
    r"(?:sentence|paragraph|story|poem|essay|text)\b",
    re.I,
)
_ORDERED: Final = re.compile(
    r"\bletters?\b.{0,40}\bcomma|\bcommas?\b.{0,40}\bletters\b|\b[A-Z], [A-Z], [A-Z]\b", re.I
)
_ENDING: Final = 250
_FORMATS: Final[Mapping[str, Kind]] = {
    "choice": "choice",
    "number": "number",
    "json": "json",
    "code": "code",
}
_SURE: Final = 0.6


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
    tail = prompt_text[-4000:]
    if _OPTIONS.search(tail):
        return "text" if _ORDERED.search(tail) else "choice"
    probs = format_probs or {}
    for kind, wording in _RULES:
        if wording.search(tail):
            return "text" if kind == "number" and _PROSE.search(tail) else kind
    if _tells_a_story(tail) and not _WORDY.search(tail[-_ENDING:]):
        return "number"
    label = max(probs, key=lambda name: probs[name], default="free_text")
    return _FORMATS.get(label, "text") if probs.get(label, 0.0) >= _SURE else "text"


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
