"""Credentials: keys and tokens by the forms that vendors publish, private keys, said passwords."""

from __future__ import annotations

import re
from collections.abc import Iterator

from emafusion.protect.entities import Entity
from emafusion.protect.recognisers.reading import Reading

FORMS = {
    "AKIA": r"AKIA[A-Z0-9]{16}",
    "ASIA": r"ASIA[A-Z0-9]{16}",
    "gh": r"gh[opsur]_[A-Za-z0-9]{30,255}",
    "github_pat_": r"github_pat_\w{22,255}",
    "glpat-": r"glpat-[\w-]{20,100}",
    "xox": r"xox[abeoprs]-[\w-]{10,250}",
    "xapp-": r"xapp-[\w-]{10,250}",
    "sk-": r"sk-[\w-]{20,250}",
    "k_live_": r"[prs]k_live_\w{16,250}",
    "k_test_": r"[prs]k_test_\w{16,250}",
    "whsec_": r"whsec_[\w+/=]{16,250}",
    "AIza": r"AIza[\w-]{35}",
    "ya29.": r"ya29\.[\w.-]{20,500}",
    "GOCSPX-": r"GOCSPX-[\w-]{20,100}",
    "hf_": r"hf_[A-Za-z0-9]{30,100}",
    "npm_": r"npm_[A-Za-z0-9]{36}",
    "pypi-": r"pypi-[\w-]{16,500}",
    "SG.": r"SG\.[\w-]{16,100}\.[\w-]{16,100}",
    "dop_v1_": r"dop_v1_[0-9a-f]{64}",
    "doo_v1_": r"doo_v1_[0-9a-f]{64}",
    "shp": r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}",
    "gsk_": r"gsk_[A-Za-z0-9]{40,80}",
    "xai-": r"xai-[A-Za-z0-9]{40,120}",
    "r8_": r"r8_[A-Za-z0-9]{37}",
    "dapi": r"dapi[0-9a-f]{32}",
    "hvs.": r"hvs\.[\w-]{20,250}",
    "sntrys_": r"sntrys_[\w+/=-]{30,500}",
    "lin_api_": r"lin_api_[A-Za-z0-9]{30,80}",
    "NRAK-": r"NRAK-[A-Z0-9]{27}",
    ":AA": r"\d{8,10}:AA[\w-]{33}",
    "AC": r"AC[0-9a-f]{32}",
    "SK": r"SK[0-9a-f]{32}",
    "eyJ": r"eyJ[\w-]{8,4000}\.[\w-]{8,8000}\.[\w-]{0,2000}",
    "AccountKey=": r"AccountKey=[A-Za-z0-9+/=]{40,120}",
}
"""Forms of keys, by what must be in a text that holds one."""
VENDORS = {trace: re.compile(rf"(?<!\w)(?:{form})(?!\w)") for trace, form in FORMS.items()}
OPENED = "PRIVATE KEY-----"
PEM_END = re.compile(r"-----END [A-Z ]{0,30}PRIVATE KEY-----")
PEM_BEGIN = re.compile(r"-----BEGIN [A-Z ]{0,30}\Z")
PEM_LONGEST = 20_000
NAMED = re.compile(
    r"(?<![a-z])(?:pass(?:word|wd|phrase|code)|pwd|secret(?:[_ -]?(?:access[_ -]?)?key)?"
    r"|api[_ -]?(?:key|token)|(?:access|auth|bearer|refresh)[_ -]?token|client[_ -]?secret"
    r"|passwort|kennwort|mot de passe|contrase[ñn]a|clave|parola d'ordine|senha|wachtwoord)"
    r"(?![a-z])[\"']?(?P<says> ?(?:=|:=?|=>) ?| (?:is|was|ist|lautet|est|es|[èe]|:)(?: now)?:? )"
    r"[\"'`]?(?P<value>[^\s\"'`,;<>(){}\[\]]{6,200})"
)
NONE = frozenset(
    ["unused", "required", "optional", "string", "secret", "password", "hidden", "invalid"]
)
"""What is written where a password would be, and is none."""
HINTS = (
    "pass", "pwd", "secret", "api", "token", "kennwort", "mot de", "contrase", "clave", "parola",
    "senha", "wachtwoord",
)  # fmt: skip
BEARER = re.compile(r"\b(?:bearer|basic) (?P<value>[\w.~+/=-]{16,2000})")


def keys(reading: Reading) -> Iterator[Entity]:
    """Keys and tokens of known forms, and private keys in PEM, cut off ones too."""
    text = reading.text
    for trace, form in VENDORS.items():
        if trace in text:
            for found in form.finditer(text):
                yield Entity(kind="KEY", start=found.start(), end=found.end(), score=1.0)
    place = text.find(OPENED)
    while place >= 0:
        begin = PEM_BEGIN.search(text, max(0, place - 42), place)
        if begin is not None:
            end = PEM_END.search(text, place, begin.start() + PEM_LONGEST)
            over = end.end() if end is not None else min(len(text), begin.start() + PEM_LONGEST)
            yield Entity(kind="KEY", start=begin.start(), end=over, score=1.0)
        place = text.find(OPENED, place + 1)


def passwords(reading: Reading) -> Iterator[Entity]:
    """What is said to be a password, a secret or a token."""
    folded = reading.folded
    if any(hint in folded for hint in HINTS):
        for found in NAMED.finditer(folded):
            start, end = found.span("value")
            value = reading.text[start:end].rstrip(".!?")
            # In a sentence "the password is required" says none: that needs a digit or a mark.
            assigned = found["says"].strip() in ("=", ":", ":=", "=>")
            if _mixed(value) or (assigned and value.lower() not in NONE):
                yield Entity(kind="KEY", start=start, end=start + len(value), score=0.65)
    if "bearer " in folded or "basic " in folded:
        for found in BEARER.finditer(folded):
            if _mixed(reading.text[slice(*found.span("value"))]):
                start, end = found.span("value")
                yield Entity(kind="KEY", start=start, end=end, score=0.8)


def _mixed(value: str) -> bool:
    """Whether `value` is no word: it has a digit, or a mark within."""
    return any(c.isdigit() for c in value) or not value.replace("-", "").isalpha()
