"""Values that only the words before them tell apart: births, passports, driving licences."""

from __future__ import annotations

import re
from collections.abc import Iterator

from emafusion.protect.entities import Entity
from emafusion.protect.recognisers.reading import Reading

_MONTH = (
    r"(?:jan|feb|m[aä]r|apr|ma[iy]|jun|jul|aug|sep|o[ck]t|nov|de[cz]|f[ée]v|avr|juin|juil|ao[uû]"
    r"|d[ée]c|ene|abr|ago|dic|gen|mag|giu|lug|set|ott)[a-zéûäç]{0,8}\.?"
)
DATE = (
    r"(?:\d{1,2}[./ -]\d{1,2}[./ -](?:19|20)?\d\d|(?:19|20)\d\d[./-]\d{1,2}[./-]\d{1,2}"
    rf"|\d{{1,2}}(?:st|nd|rd|th|er|\.|º)? (?:de |of )?{_MONTH},? (?:de |del )?(?:19|20)\d\d"
    rf"|{_MONTH} \d{{1,2}}(?:st|nd|rd|th)?,? (?:19|20)\d\d)"
)
_GAP = r"[^\d\n]{0,24}?"
BIRTH = re.compile(
    r"\b(?:born|birth|birthday|birthdate|dob|d\.o\.b\.?|geboren|geburtsdatum|geburtstag|geb\.?|n[ée]e?"
    r"|naissance|nac[ií]|nacid[oa]|naci[óo]|nacimiento|nat[oa]|nascita|geboortedatum|nascimento)"
    rf"(?!\w){_GAP}(?P<value>{DATE})(?!\d)"
)
BORN = re.compile(rf"(?<!\w)(?P<value>{DATE})(?:[^\d\n.]{{0,30}})\bgeboren\b")
"""German says it behind the date."""
PASSPORT = re.compile(
    r"\b(?:passport|reisepass\w*|pass(?:nummer|nr\.?)|passeport|pasaporte|passaporto|paspoort"
    r"|passaporte)(?!\w)[^\d\n]{0,28}?(?P<value>(?<!\w)(?=[a-z]{0,3}\d)[a-z0-9]{6,10})(?!\w)"
)
LICENCE = re.compile(
    r"\b(?:driv(?:er|ing)(?:'?s)?[ -]?licen[cs]e|driver licen[cs]e|dl|f[üu]hrerschein\w*"
    r"|permis de conduire|permiso de conduci[rón]+|carn[ée] de conducir|patente(?: di guida)?"
    r"|rijbewijs|carta de condu[çc][ãa]o)(?!\w)[^\d\n]{0,28}?"
    r"(?P<value>(?<!\w)(?=[a-z]{0,6}[ -]?\d)[a-z0-9](?:[ -]?[a-z0-9]){5,19})(?!\w)"
)
CUED = (
    ("BIRTH", BIRTH, 0.8),
    ("BIRTH", BORN, 0.8),
    ("PASSPORT", PASSPORT, 0.7),
    ("LICENCE", LICENCE, 0.7),
)
HINTS = {
    "BIRTH": (
        "born",
        "birth",
        "dob",
        "d.o.b",
        "geb",
        "né",
        "nee ",
        "naissance",
        "nac",
        "nas",
        "nat",
    ),
    "PASSPORT": ("pas",),
    "LICENCE": ("licen", "dl", "schein", "permis", "carn", "patente", "rijbewijs", "carta"),
}
"""What is in a text, in small letters, that holds a word for the kind."""


def cued(reading: Reading) -> Iterator[Entity]:
    """Dates, and numbers of documents, behind the words for them in six languages."""
    if not reading.has_digits:
        return
    folded = reading.folded
    for kind, pattern, score in CUED:
        if not any(hint in folded for hint in HINTS[kind]):
            continue
        for found in pattern.finditer(folded):
            start, end = found.span("value")
            end = _trimmed(folded, start, end) if kind == "LICENCE" else end
            yield Entity(kind=kind, start=start, end=end, score=score)


def _trimmed(text: str, start: int, end: int) -> int:
    """`end` without the words that follow a number and have no digit."""
    said = text[start:end]
    while " " in said and not any(c.isdigit() for c in said.rsplit(" ", 1)[1]):
        said = said.rsplit(" ", 1)[0]
    return start + len(said)
