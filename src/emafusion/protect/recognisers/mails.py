"""Mail addresses, also those that say "at" and "dot" in words."""

from __future__ import annotations

import re
from collections.abc import Iterator

from emafusion.protect.entities import Entity
from emafusion.protect.recognisers.reading import Reading

LOCAL = re.compile(r"[\w+~-](?:[\w.%+'=~-]{0,62}\w)?")
"""What stands before the sign, read backwards."""
DOMAIN = re.compile(
    r"(?:[^\W_](?:(?:[^\W_]|-){0,61}[^\W_])?\.){1,8}"
    r"(?:[a-zA-Z](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])|[^\W\d_a-zA-Z]{2,24})|\[[\d.]{7,15}\]"
)
UNSPACED = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
LATIN_END = re.compile(r"[0-9a-zA-Z][0-9a-zA-Z_.%+'=~-]*\Z")
_ENDINGS = (
    "png jpg jpeg gif svg webp avif bmp ico pdf js ts jsx tsx mjs cjs css scss vue json yaml yml"
    " toml html htm xml csv txt rst java cpp hpp cs php swift whl gz tar exe dll lock"
    " service socket timer mount target"
)
ENDINGS = frozenset(_ENDINGS.split())
"""What ends a file's name or a unit's; behind a person's name or a deeper domain it is one."""
_ATTRIBUTES = (
    "shape dtype transpose reshape mean sum real imag flat ndim size values inv conj detach numpy"
    " item permute"
)
ATTRIBUTES = frozenset(_ATTRIBUTES.split())
"""What ends an expression with matrices, and no domain."""
VERSION = re.compile(r"\d+(?:x|\.|-|\Z)")
ARGUMENTS = re.compile(r"\( ?(?:\)|[-\d*\"'\[{(:]|\w+ ?[=.,(\[])")
QUOTED = re.compile(r"\"[\w.+-]{1,30}(?: [\w.+-]{1,30}){0,2}\"\Z")
"""A local part in quotes."""
_AT = (
    r"(?<=\w)[(\[]a[)\]](?=\w)|\((?:at|ät|arroba|arobase|chiocciola|małpa|@)\)"
    r"|\[(?:at|ät|arroba|arobase|@)\]"
    r"|\{(?:at|@)\}|<at>|_at_| (?:arroba|arobase|chiocciola|małpa|apenstaartje|klammeraffe) "
)
_DOT = (
    r"\((?:dot|punkt|point|punto|ponto|\.)\)|\[(?:dot|punkt|point|punto|ponto|\.)\]|\{dot\}|_dot_"
    r"| (?:dot|punkt|point|punto|ponto|kropka) "
)
_BRACKETED = re.compile(rf"{_AT}|{_DOT}")
SPOKEN = re.compile(
    rf"[^\W_][\w.+-]{{0,63}} ?(?:{_AT}) ?[\w-]{{1,63}}"
    rf"(?:(?: ?(?:{_DOT}) ?|\.)[^\W\d][\w-]{{1,62}}){{1,4}}"
)
WORDS = re.compile(
    r"[^\W_][\w.+-]{0,63}(?: dot [\w-]{1,63}){0,3} at [\w-]{1,63}(?: dot [\w-]{2,63}){1,4}\b"
)
SAID = re.compile(r"\b(?:e-?mail\w*|mail|write|reach|contact|address|send|reply|cc)\b[^\n]{0,30}\Z")
AT_TRACES = (
    "(at)", "[at]", "{at}", "<at>", "_at_", "(a)", "[a]", "ät)", "ät]", "arroba", "arobase",
    "chiocciola", "małpa", "apenstaartje", "klammeraffe", "(@)", "[@]",
)  # fmt: skip


def mails(reading: Reading) -> Iterator[Entity]:
    """Mail addresses; no names of files, packages or matrices."""
    text = reading.text
    place = text.find("@")
    while place >= 0:
        span = _mail(text, place)
        if span is not None:
            yield Entity(kind="EMAIL", start=span[0], end=span[1], score=0.95)
        place = text.find("@", place + 1)
    folded = reading.folded
    if any(trace in folded for trace in AT_TRACES):
        for found in SPOKEN.finditer(folded):
            yield Entity(kind="EMAIL", start=found.start(), end=found.end(), score=0.7)
    if " dot " in folded and " at " in folded:
        for found in WORDS.finditer(folded):
            if SAID.search(reading.before(found.start(), 48)) or "." in found.group():
                yield Entity(kind="EMAIL", start=found.start(), end=found.end(), score=0.7)


def _mail(text: str, place: int) -> tuple[int, int] | None:
    """Where the address stands whose sign is at `place`."""
    domain = DOMAIN.match(text, place + 1)
    if domain is None:
        return None
    if text[place - 1 : place] == '"':
        quoted = QUOTED.search(text, max(0, place - 64), place)
        return None if quoted is None else (quoted.start(), domain.end())
    local = LOCAL.match(text[max(0, place - 64) : place][::-1])
    if local is None or _code(text, local.group()[::-1], domain):
        return None
    return _begun(text, place - local.end(), local.group()[::-1]), domain.end()


def _begun(text: str, start: int, said: str) -> int:
    """Where a local part begins, behind marks of emphasis and writing without blanks."""
    if UNSPACED.search(said) is not None:
        latin = LATIN_END.search(said)
        return start if latin is None else start + latin.start()
    kept = said.lstrip("_'")
    # In a query the key goes before; in a bounce's address there is no sign before the first.
    key = kept.find("=")
    if key > 0 and (text[start - 1 : start] in ("?", "&") or "+" not in kept[:key]):
        return start + len(said) - len(kept) + key + 1
    return start + len(said) - len(kept) if kept else start


def _code(text: str, local: str, domain: re.Match[str]) -> bool:
    """Whether it is a program's: a file, an attribute, a call, a remote path."""
    after = text[domain.end() : domain.end() + 1]
    if local == "git" and after in (":", "/"):
        return True
    labels = domain.group().lower().split(".")
    if labels[-1] in ATTRIBUTES:
        return True
    if after == "(":
        # A remark in brackets says in words whose address it is.
        short = len(local) <= 2 and len(labels[0]) <= 2
        return short or ARGUMENTS.match(text, domain.end()) is not None
    file = ("." not in local and len(labels) == 2) or VERSION.match(labels[0]) is not None
    return file and labels[-1] in ENDINGS


def unspoken(value: str) -> str:
    """The address `value` with its signs as signs, where they were in words or brackets."""
    folded = value.lower()
    if "@" in folded and _BRACKETED.search(folded) is None:
        return value
    said = re.sub(rf" ?(?:{_AT}| at ) ?", "@", folded, count=1)
    return re.sub(rf" ?(?:{_DOT}| dot ) ?", ".", said)
