"""Mathematical answers compared as text. Knows LaTeX spelling, no algebra: ``x+1`` and ``1+x``
are different answers here.
"""

from __future__ import annotations

import re
from typing import Final

from emafusion.answers import number
from emafusion.answers.conclusion import bold, conclusion, last_line
from emafusion.answers.kinds import Extracted

_MATHS: Final = re.compile(r"\$\$?([^$\n]{1,300})\$\$?|\\\(([^\n]{1,300}?)\\\)")
_DROPPED: Final = re.compile(
    r"\\(?:left|right|big|Big|bigg|Bigg|displaystyle|limits)(?![A-Za-z])|\\[,!;: ()\[\]$]|[$~]"
    r"|\\q?quad(?![A-Za-z])|\^\{?\\circ\}?|°|\\?%"
)
_TEXT: Final = re.compile(
    r"\\(?:text|mathrm|textbf|mathbf|textit|mbox|operatorname)\s*\{([^{}]*)\}"
)
_UNIT: Final = re.compile(r"(?<=[\d})])\s*\\(?:text|mathrm|mbox)\s*\{[^{}]*\}(?:\^\{?\d\}?)?\s*$")
_SHORT_FRACTION: Final = re.compile(r"\\[dtc]?frac\s*(?:(\d)\s*(\d)|(\d)\s*(?=\{))")
_FRACTION: Final = re.compile(r"\\[dtc]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}")
_ROOT: Final = re.compile(r"\\sqrt\s*(?:\{([^{}]*)\}|(\w))")
_POWER: Final = re.compile(r"\^\s*\{([^{}]*)\}")
_NAMES: Final = re.compile(
    r"\\(pi|theta|alpha|beta|infty|cdot|times|div|le|leq|ge|geq|ne|neq|pm|cup|in)(?![A-Za-z])"
)
_SPELT: Final = {
    "infty": "inf", "cdot": "*", "times": "*", "div": "/", "le": "<=", "leq": "<=", "ge": ">=",
    "geq": ">=", "ne": "!=", "neq": "!=", "pm": "+-", "cup": "U",
}  # fmt: skip
_ASSIGNED: Final = re.compile(
    r"^(?:[A-Za-z](?:\([A-Za-z]\))?|[A-Za-z]_\{?\w\}?)\s*(?:=|\\in(?![A-Za-z]))\s*(?=\S)"
)
_PRODUCT: Final = re.compile(r"(?<=[\d)])\*(?=[A-Za-z(])")
_ATOM: Final = re.compile(r"\w+(?:\.\d+)?|sqrt\(\w+\)")
_PROSE: Final = re.compile(r"(?<![A-Za-z\\])[A-Za-z]{3,}")
_COUNTED: Final = re.compile(r"(-?[\d.,/]+)\s+[A-Za-z]{3,}(?:\s[a-z]+)?")
_PASSES: Final = 6


def extract(text: str) -> Extracted | None:
    """The expression a reply gives as its answer, or ``None`` when nothing readable is left."""
    span = _span(text)
    if len(_PROSE.findall(span)) > 2 and "\\" not in span:
        found = number.stated(span)
        if found is not None:
            return Extracted(kind="expression", span=found.span, key=found.key)
    canonical = key(span)
    if canonical is None:
        return None
    return Extracted(kind="expression", span=span, key=canonical)


def key(span: str) -> str | None:
    """The canonical text of an expression; the number's own key when it is a number."""
    written = span
    for _ in range(_PASSES):
        settled = _normalised(written)
        if settled == written:
            return settled or None
        written = settled
    return None


def _span(text: str) -> str:
    stated = conclusion(text)
    if stated:
        within = _MATHS.search(stated)
        return next(filter(None, within.groups()), stated) if within else stated.rstrip(".")
    line = last_line(text)
    maths = list(_MATHS.finditer(line))
    if maths:
        return next(filter(None, maths[-1].groups()), line)
    return bold(text) or line


def _normalised(span: str) -> str:
    bare = span.strip().strip(".,;: \t\n`*\"'")
    value = number.whole(bare)
    if value is not None:
        return number.key(value) or ""
    counted = _COUNTED.fullmatch(bare)
    if counted:
        bare = counted.group(1)
    bare = _TEXT.sub(r"\1", _UNIT.sub("", bare))
    bare = _ASSIGNED.sub("", _DROPPED.sub("", bare).strip())
    bare = _NAMES.sub(lambda name: _SPELT.get(name.group(1), name.group(1)), bare)
    bare = _SHORT_FRACTION.sub(_braced, bare)
    for _ in range(_PASSES):
        flat = _flattened(bare)
        if flat == bare:
            break
        bare = flat
    return _PRODUCT.sub("", "".join(bare.split()))


def _braced(fraction: re.Match[str]) -> str:
    top, below, only = fraction.groups()
    return rf"\frac{{{top}}}{{{below}}}" if below else rf"\frac{{{only}}}"


def _flattened(span: str) -> str:
    span = _ROOT.sub(lambda root: f"sqrt({root.group(1) or root.group(2)})", span)
    span = _FRACTION.sub(lambda f: f"{_grouped(f.group(1))}/{_grouped(f.group(2))}", span)
    return _POWER.sub(lambda power: f"^{_grouped(power.group(1))}", span)


def _grouped(part: str) -> str:
    bare = "".join(part.split())
    return bare if _ATOM.fullmatch(bare) else f"({bare})"
