"""Which kind of answer a prompt asks for, when nobody says. Knows the usual wordings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from emafusion.answers.kinds import Kind

_OPTIONS: Final = re.compile(r"(?:^|\s)\(?A[).:](?=\s).{1,400}?(?:\s)\(?B[).:](?=\s)", re.DOTALL)
_RULES: Final[tuple[tuple[Kind, re.Pattern[str]], ...]] = (
    ("json", re.compile(r"\bjson\b(?! object is given)", re.I)),
    (
        "code",
        re.compile(
            r"\b(?:write|implement|create|complete|define|give|fix)\b.{0,60}"
            r"\b(?:function|program|script|method|class|query|regex|def)\b",
            re.I | re.DOTALL,
        ),
    ),
    (
        "literal",
        re.compile(
            r"\bassert\b.*==|\b(?:print(?:s|ed)?|return(?:s|ed)?|output|evaluate[sd]?|result)\b.{0,80}"
            r"(?:\b(?:code|program|snippet|function|expression|python)\b)|"
            r"\b(?:code|program|snippet|function|expression|python)\b.{0,80}"
            r"\b(?:print(?:s|ed)?|return(?:s|ed)?|output|evaluate[sd]?)\b",
            re.I | re.DOTALL,
        ),
    ),
    (
        "date",
        re.compile(
            r"YYYY-MM-DD|\b(?:what|which|give the|reply with the)(?: \w+){0,2} date\b|\bISO date\b", re.I
        ),
    ),
    (
        "expression",
        re.compile(r"\\(?:frac|sqrt|boxed|begin|left|cdot|leq?|geq?|pi)|\$[^$\n]*[\\^_=][^$\n]*\$", re.I),
    ),
    (
        "number",
        re.compile(
            r"\bhow (?:many|much|far|long|old|tall|fast|heavy)\b|\b(?:the|a|one|single) (?:number|integer)\b"
            r"|\bpercent(?:age)?\b|\b(?:calculate|compute|evaluate|convert|round|average|sum|total)\b"
            r"|\d\s*[-+*/×÷=%]\s*\d|\b(?:plus|minus|times|divided by|multiplied by)\b",
            re.I,
        ),
    ),
)
_NOT_A_NUMBER: Final = re.compile(r"\b(?:write|rewrite|explain|summari[sz]e|describe|translate|list)\b", re.I)
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
        return "choice"
    probs = format_probs or {}
    for kind, wording in _RULES:
        if not wording.search(tail):
            continue
        if kind == "number" and _NOT_A_NUMBER.search(tail) and probs.get("number", 0.0) < _SURE:
            continue
        return kind
    label = max(probs, key=lambda name: probs[name], default="free_text")
    return _FORMATS.get(label, "text") if probs.get(label, 0.0) >= _SURE else "text"
