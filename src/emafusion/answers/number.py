"""Numbers in free text. Knows digits, separators, fractions, exponents, LaTeX and number words;
a percent sign, a currency or a unit is not part of the value.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final

from emafusion.answers.conclusion import bold, conclusion
from emafusion.answers.kinds import Extracted
from emafusion.answers.wording import Wording

_DIGITS: Final = r"(?:\d{1,3}(?:(?:,|\{,\}|\\,|\\!,?|[\u00a0\u202f\u2009'_])\d{3})+(?!\d)|\d+)"
_TOKEN: Final = re.compile(
    rf"""(?<![A-Za-z0-9_.])
    (?P<sign>(?:(?<![\d)}}\]%])[-+\u2212\u2013])?)\s?(?:\\?[$€£¥]\s?)?(?P<sign2>-?)
    (?:\\[dtc]?frac\s*(?:\{{\s*(?P<ftop>-?\d+)\s*\}}|(?P<ftop1>\d))
        \s*(?:\{{\s*(?P<fbot>\d+)\s*\}}|(?P<fbot1>\d))
      |(?P<whole>{_DIGITS})\s?\\[dtc]?frac\s*\{{(?P<mtop>\d+)\}}\s*\{{(?P<mbot>\d+)\}}
      |(?P<whole2>\d+)(?:\ |-|\ and\ )(?P<m2top>\d+)/(?P<m2bot>[1-9]\d*)(?![\d/])
      |(?P<vulgar_whole>\d*)\s?(?P<vulgar>[½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞])
      |(?P<plain>{_DIGITS}(?:\.\d+)?|\.\d+)
        (?:[eE](?P<exp>[-+]?\d{{1,4}})(?![\w.])
          |\s*(?:×|x|\*|\\times|\\cdot)\s*10\s*(?:\^|\*\*)\s*\{{?\(?(?P<exp10>[-+\u2212]?\d{{1,4}})
          |\s*×\s*10(?P<super>[⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]{{1,4}})
          |\s?/\s?(?P<below>[1-9]\d*(?:\.\d+)?)(?![\d/])
          |\s(?P<scale>thousand|million|billion|trillion)\b)?
    )""",
    re.VERBOSE,
)
_VULGAR: Final = {
    "½": (1, 2), "⅓": (1, 3), "⅔": (2, 3), "¼": (1, 4), "¾": (3, 4), "⅕": (1, 5), "⅖": (2, 5),
    "⅗": (3, 5), "⅘": (4, 5), "⅙": (1, 6), "⅚": (5, 6), "⅛": (1, 8), "⅜": (3, 8), "⅝": (5, 8),
    "⅞": (7, 8),
}  # fmt: skip
_SUPER: Final = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_SCALE: Final = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_NOT_DIGIT: Final = re.compile(r"[^\d.]")
_EQUALS: Final = re.compile(r"[=≈]|\\approx\b")
_COPULA: Final = Wording(
    r"\b(?:is|are|was|were|equals?|makes?|gives?|leaves?|totals?|costs?|has|have|be)\b"
)
_OPERATION: Final = re.compile(r"\s*(?:[-+*/×÷^]|\\times|\\cdot|\\div)\s*[\d(\\$]")
_LARGEST_EXPONENT: Final = 300
_MOST_DIGITS: Final = 300

_UNITS: Final = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen",
)  # fmt: skip
_TENS: Final = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_WORD: Final = {
    **{word: value for value, word in enumerate(_UNITS)},
    **{word: 20 + 10 * value for value, word in enumerate(_TENS)},
}
_SPELT: Final = "|".join([*_UNITS, *_TENS, "hundred", "thousand"])
_WORDS: Final = re.compile(rf"\b(?:{_SPELT})(?:[\s-]+(?:and\s+)?(?:{_SPELT}))*\b", re.I)
_ANY_WORD: Final = Wording(rf"\b(?:{_SPELT}|once|twice|thrice)\b")
_MOST_WORDS: Final = 12
_TIMES_COUNTED: Final = {"once": "1", "twice": "2", "thrice": "3"}
_TIMES: Final = re.compile(r"\b(?:once|twice|thrice)\b", re.I)


def value(token: re.Match[str]) -> Fraction | None:
    """The value of one number token, or ``None`` when it is too large to be an answer."""
    part = token.groupdict()
    negative = (part["sign"] in ("-", "\u2212", "\u2013")) != (part["sign2"] == "-")
    size = _size(part)
    if size is None:
        return None
    return -size if negative else size


def key(number: Fraction) -> str | None:
    """The canonical text of a number: exact for an integer, else ten significant digits."""
    if number.denominator == 1:
        return str(number.numerator)
    try:
        rounded = f"{float(number):.10g}"
    except OverflowError:
        return None
    if "e" in rounded or "." in rounded:
        return rounded
    return str(int(rounded))


def whole(text: str) -> Fraction | None:
    """The number that a text is, apart from a sign, a currency or a percent sign around it."""
    bare = text.strip().strip("$").strip()
    if bare.isascii() and bare.isdigit() and len(bare) <= _MOST_DIGITS:
        return Fraction(int(bare))
    token = _TOKEN.match(bare)
    if token is None or bare[token.end() :].strip(" }.\\%") != "":
        return None
    return value(token)


def extract(text: str) -> Extracted | None:
    """The number a reply gives as its answer, or ``None`` when it gives none."""
    for stretch in (conclusion(text), bold(text)):
        found = stated(stretch) if stretch else None
        if found is not None:
            return found
    for line in reversed(text.splitlines()):
        found = _concluding(line)
        if found is not None:
            return found
    return _spelt(text)


def stated(stretch: str) -> Extracted | None:
    """The number in a stretch that is known to hold the answer: the first after its last ``=``."""
    signs = list(_EQUALS.finditer(stretch))
    for sign in reversed(signs[-3:]):
        found = _first(stretch[sign.end() :])
        if found is not None:
            return found
    return _first(stretch) or _spelt(stretch)


def _concluding(line: str) -> Extracted | None:
    tokens = list(_TOKEN.finditer(line))
    if not tokens:
        return None
    signs = [sign.end() for sign in _EQUALS.finditer(line)]
    if signs and tokens[-1].start() >= signs[-1]:
        return _first(line[signs[-1] :])
    after = [end for end in _COPULA.ends(line) if end <= tokens[-1].start()]
    if after:
        return _first(line[after[-1] :])
    opens = line[: tokens[0].start()].strip(" \t*-_#>(\"'") == ""
    if opens and not _OPERATION.match(line, tokens[0].end()):
        return _found(tokens[0])
    return _found(tokens[-1])


def _first(stretch: str) -> Extracted | None:
    token = _TOKEN.search(stretch)
    return _found(token) if token else None


def _found(token: re.Match[str]) -> Extracted | None:
    number = value(token)
    canonical = None if number is None else key(number)
    if canonical is None:
        return None
    return Extracted(kind="number", span=token.group().strip(), key=canonical)


def _size(part: dict[str, str | None]) -> Fraction | None:
    for above, under, leading in (
        (part["ftop"] or part["ftop1"], part["fbot"] or part["fbot1"], None),
        (part["mtop"], part["mbot"], part["whole"]),
        (part["m2top"], part["m2bot"], part["whole2"]),
    ):
        if above and under:
            return _fraction(above, under, leading)
    vulgar = part["vulgar"]
    if vulgar:
        top, below = _VULGAR[vulgar]
        return _fraction(str(top), str(below), part["vulgar_whole"] or None)
    return _decimal(part)


def _fraction(top: str, below: str, leading: str | None) -> Fraction | None:
    if max(len(top), len(below), len(leading or "")) > _MOST_DIGITS or int(below) == 0:
        return None
    first = int(_NOT_DIGIT.sub("", leading)) if leading else 0
    return first + Fraction(int(top), int(below))


def _decimal(part: dict[str, str | None]) -> Fraction | None:
    plain = _NOT_DIGIT.sub("", part["plain"] or "")
    power = part["exp"] or part["exp10"] or (part["super"] or "").translate(_SUPER) or "0"
    exponent = int(power.replace("\u2212", "-"))
    if not plain or len(plain) > _MOST_DIGITS or abs(exponent) > _LARGEST_EXPONENT:
        return None
    size = Fraction(int(plain)) if plain.isdigit() else Fraction(plain)
    if exponent:
        size *= Fraction(10) ** exponent
    if part["below"]:
        below = part["below"]
        return None if len(below) > _MOST_DIGITS else size / Fraction(below)
    return size * _SCALE[part["scale"]] if part["scale"] else size


def _spelt(text: str) -> Extracted | None:
    if not _ANY_WORD.search(text):
        return None
    times = _TIMES.findall(text)
    if times:
        return Extracted(kind="number", span=times[-1], key=_TIMES_COUNTED[times[-1].lower()])
    for run in reversed(list(_WORDS.finditer(text))):
        words = [
            word for word in re.split(r"[\s-]+", run.group().lower()) if word not in ("", "and")
        ]
        if 0 < len(words) <= _MOST_WORDS:
            return Extracted(kind="number", span=run.group().strip(), key=str(_counted(words)))
    return None


def _counted(words: list[str]) -> int:
    total, current = 0, 0
    for word in words:
        if word == "hundred":
            current = max(current, 1) * 100
        elif word == "thousand":
            total, current = total + max(current, 1) * 1000, 0
        else:
            current += _WORD[word]
    return total + current
