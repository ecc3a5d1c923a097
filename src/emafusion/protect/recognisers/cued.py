"""Values that only the words before them tell apart: births, documents, numbers that have no check.

Knows those words, in the languages that are most written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from emafusion.protect.entities import Entity
from emafusion.protect.recognisers.cues import BETWEEN, GAP, Cues
from emafusion.protect.recognisers.reading import Reading

MONTH = (
    r"(?:jan|ene|sty|gen|feb|fev|fév|lut|m[aäá]r|mrz|mrt|maart|apr|avr|abr|kwi|ma[iyj]\b|mag|may"
    r"|maio|mai|mei|jun|juin|giu|cze|jul|juil|lug|lip|aug|ao[uû]|ago|sie|sep|set|wrz|o[ck]t|out"
    r"|ott|pa[zź]|nov|lis|de[czs]|déc|dic|dez|gru|jän|maja)[^\W\d_]{0,9}\.?"
)
"""A month in English, German, French, Spanish, Italian, Dutch, Polish, Portuguese."""
_YEAR = r"(?:(?:19|20)\d\d|'?\d\d)"
DATE = (
    r"(?:\d{1,2} ?[./-] ?\d{1,2} ?[./-] ?(?:19|20)?\d\d|(?:19|20)\d\d[./-]\d{1,2}[./-]\d{1,2}"
    rf"|\d{{1,2}}(?:st|nd|rd|th|er|re|\.|º|°)?[ \n/-]?(?:de |of |di )?{MONTH},?[ \n/-]?"
    rf"(?:de |del )?{_YEAR}"
    rf"|{MONTH}[ \n-]\d{{1,2}}(?:st|nd|rd|th)?,?[ \n-]{_YEAR}"
    r"|(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])|\d{2} \d{2} (?:19|20)\d\d)(?!\d)"
)
"""A day, as people write it in small letters."""
IS_DATE = re.compile(DATE)
_REST = r"[^\W\d_]{0,24}"
_GROUPS = (
    r"(?<![0-9a-z])(?P<value>(?:[a-z]{1,6}[./-]?|[a-z]{1,3} )?\d[0-9a-z]{0,30}"
    r"(?:[ ./-]{1,2}(?:[a-z]{0,3}\d[0-9a-z]{0,20}|[a-z](?=[ ./-]\d))){0,8}"
    r"(?:[ ./-]?[a-z](?![0-9a-z]))?)(?![0-9a-z])"
)
_BIRTH = re.compile(rf"(?P<gap>[^\d\x00]{{0,48}}?)(?<![^\W_])(?P<value>{DATE})")
_ELSE = re.compile(
    r"\b(?:was|were|came|used|has|had|have|died|opened|released|wrote|since|until)\b"
)
"""Words between a birth and a date that say the date is another's."""
_NUMBERED = re.compile(_REST + GAP + _GROUPS)
_ITEM = re.compile(
    r"[\"']?\s{0,40},\s{0,40}[\"']?"
    r"(?P<value>\+?[a-z]{0,3}\(?\d[\d ./()-]{3,30}[a-z]?)(?=[\"',\]\n])"
)
"""Another number of the same list."""
_TAXED = re.compile(
    _REST + GAP + r"(?<![0-9a-z])(?P<value>[a-zñ&]{3,4}[ -]?\d{6}[ -]?[0-9a-z]{3})(?![0-9a-z])"
)
_DIALLED = r"(?P<value>\+?\(?\d(?:[ .\-/()]{0,3}\d){5,14})(?![0-9a-z])"
_PHONE = re.compile(_REST + GAP + _DIALLED)
_CALLED = re.compile(
    rf"(?=\s)(?:[\s:(*_+]|(?<![^\W\d_])(?:{BETWEEN}|an)(?![^\W_])){{0,12}}+{_DIALLED}"
)
BEHIND = re.compile(
    rf"(?<!\w)(?P<value>{DATE})[^\d\n.]{{0,30}}\b(?:geboren|født|född|született|doğumlu)\b"
)
"""Some languages say that it is a birth behind the date."""
BORN = ("geboren", "født", "född", "született", "doğumlu")
BIRTH = Cues(
    "born$ birth dob$ d.o.b geboren geb$ geburt né$ née$ nés$ naissance nací$ nacid nació nacimien"
    " nac$ nascita geboorte nascid nascimento nasci$ nasceu urodz ur$ data_nasc födelse"
    " född født fødsel syntym doğum рожден родил 生年月日 出生 生日 생년월일",
    "nato a ", "nato il", "nato nel", "nata a ", "nata il", "nata nel", "nato/a",
)  # fmt: skip
PASSPORT = Cues(
    "passport reisepass passeport pasaporte passaporte passaporto paspoort paszport passnummer"
    " passnr pass-nr pass-no passno pasport паспорт 护照 パスポート 여권",
    "travel document", "pass nr", "pass no",
)  # fmt: skip
LICENCE = Cues(
    "dl$ führerschein rijbewijs"
    " fuehrerschein patente$ körkort kørekort førerkort права 驾照 運転免許",
    "driver licen", "driver's licen", "drivers licen", "driving licen",
    "permis de conduire", "permiso de conduc", "carnet de conducir", "carné de conducir",
    "permis conduire", "carta de condu", "prawo jazdy", "prawa jazdy", "uk licen",
    "patente di guida", "carteira de habilita", "cnh$", "licence number", "license number",
)  # fmt: skip
IDENTITY = Cues(
    "ssn$ itin$ nino$ nhs$ bsn$ cpf$ cnpj$ pesel$ dni$ nie$ nif$ nir$ ahv$ avs$ idnr$ tckn$"
    " burgerservice sofinummer steuer-id steuerid steuernummer steueridentifik tfn$"
    " sozialversicherung svnr$ sv-nummer personalausweis ausweisnummer personnummer personnr$"
    " fødselsnummer fnr$ cpr$ cnp$ curp$ rut$ rg$ cif$ hetu$ henkilötunnus aadhaar nric$"
    " aadhar medicare mrn$ npi$ vat$ ust-id ustid tva$ nip$ dowód regon$ rodné nrn$ снилс"
    " инн$ 身份证 身份證 マイナンバー 주민 kimlik taxpayer pps$ oib$ jmbg$",
    "social security", "social is", "social insurance", "national insurance", "ni no",
    "ni number", "tax id", "tax identification", "tax file", "health service", "national id",
    "identity card", "id card", "sécurité sociale", "securite sociale", "n° ss", "numéro fiscal",
    "seguridad social",
    "codice fiscale", "partita iva", "tarjeta sanitaria", "medical record",
    "personal number", "identity number", "ni:", "sin$", "pan$", "ein:",
    "ein number", "us ein", "employer identification",
)  # fmt: skip
PHONE = Cues(
    "phone telephone mobile$ mobileno mobilenumber cell$ cellphone cellular whatsapp"
    " fax$ faxno hotline sms$ tel$ telno telnr tlf$ telefon handy$ handynummer mobil$ mobilnumm"
    " rufnummer anrufen$ durchwahl tél$ téléphone portable$ teléfono telefono móvil movil$ cel$"
    " celular cellulare telefone telemóvel telemovel telefoon mobiel gsm$ komórk telefonu"
    " zap$ cep$ numaram телефон тел$ номер моб$ звоните 电话 電話 手机 手機 携帯 전화 휴대폰"
    " msisdn$ extension$ hp$ zadzwoń zadzwon$",
    "my number", "his number", "her number", "your number", "mi número", "mi numero",
    "mon numéro", "mon numero", "meine nummer", "mijn nummer", "il mio numero", "mio numero",
    "mój numer", "moj numer", "meu número", "meu numero", "nummeret mitt", "mitt nummer",
    "mit nummer", "contact #", "contact number", "contact no", "phone_", "nummer:",
)  # fmt: skip
TAXES = Cues("rfc$")
"""The word for Mexico's taxpayers is that for the internet's standards, too."""
CALL = Cues(
    "call$ calling$ ring$ text$ dial$ reach$ anrufen$ rufen$ ruf$ erreichen$ erreichbar$"
    " erreichst$ appelez$ appelle$ appeler$ joindre$ joignable$ llama$ llame$ llámame$ llámeme$"
    " chiama$ chiamami$ chiamate$ ligue$ liga$ bel$ bellen$ dzwoń$ lig$ ringa$"
    " ringe$ позвоните",
    "get hold of", "ring på",
)  # fmt: skip
"""Words that ask for a call: what follows must be as long as a telephone number."""
NUMBERS = (
    ("PASSPORT", PASSPORT, _NUMBERED, 2, 0.7),
    ("LICENCE", LICENCE, _NUMBERED, 4, 0.7),
    ("ID", IDENTITY, _NUMBERED, 4, 0.75),
    ("ID", TAXES, _TAXED, 6, 0.75),
    ("PHONE", PHONE, _PHONE, 6, 0.55),
    ("PHONE", CALL, _CALLED, 7, 0.5),
)
"""Kinds of numbers, the words for them, their forms, the least digits, and the score."""
DECIMAL = re.compile(r"(?:0|[1-9]\d{0,7})\.\d+(?: ?- ?\d+\.\d+)?")
AFTER = re.compile(
    r" ?(?:€|\$|£|%|°|eur|usd|gbp|z[łl]|kr\b|euros?|dollars?|people|users|units|votes|seats|km|m/?s"
    r"|kg|bytes|rows|lines|items|times|tonnes|inhabitants|in thousands|einwohner"
    r"|habitants|habitantes|abitanti|pcs|total)"
)
"""Behind a number that counts something."""
MILLIONS = re.compile(r"\d{1,3}(?:[ .]\d{3})*(?:[ .]000){2}|\d{1,3}0{6}")
"""Numbers that are round, as those that are dialled are not."""
LEAST = 6
"""Letters and digits of the shortest of them."""


def cued(reading: Reading) -> Iterator[Entity]:
    """Dates and numbers behind the words for them."""
    if not reading.has_digits:
        return
    folded = reading.folded
    for end in BIRTH.ends(reading):
        found = _BIRTH.match(folded, end)
        if found is not None and _ELSE.search(found["gap"]) is None:
            yield _entity("BIRTH", found, 0.8)
    if any(word in folded for word in BORN):
        for found in BEHIND.finditer(folded):
            yield _entity("BIRTH", found, 0.8)
    for kind, cues, form, least, score in NUMBERS:
        for end in cues.ends(reading):
            yield from (
                _entity(kind, found, score, opened=kind == "PHONE")
                for found in _listed(folded, form, end)
                if numbered(kind, found["value"], least)
                and not (cues is CALL and _counts(folded, found))
            )


def _listed(folded: str, form: re.Pattern[str], end: int) -> Iterator[re.Match[str]]:
    """The value behind a word that ends at `end`, and, if it is the first of a list, the others."""
    found = form.match(folded, end)
    listed = found is not None and "[" in folded[end : found.start("value")]
    while found is not None:
        yield found
        found = _ITEM.match(folded, found.end()) if listed else None


def _counts(folded: str, found: re.Match[str]) -> bool:
    """Whether a number is of what is reached or rung, and none that is dialled."""
    whole = MILLIONS.fullmatch(found["value"]) is not None
    return whole or AFTER.match(folded, found.end("value")) is not None


def numbered(kind: str, value: str, least: int) -> bool:
    """Whether `value` can be a number of `kind`, with `least` digits or more."""
    if sum(c.isalnum() for c in value) < LEAST or sum(c.isdigit() for c in value) < least:
        return False
    if DECIMAL.fullmatch(value):
        return False
    return IS_DATE.match(value) is None or (kind == "ID" and "." not in value)


def _entity(kind: str, found: re.Match[str], score: float, *, opened: bool = False) -> Entity:
    start, end = found.span("value")
    # The bracket that a number begins with may have been taken for one before it.
    start -= opened and found.string[start - 1 : start] == "(" and ")" in found["value"]
    return Entity(kind=kind, start=start, end=end, score=score)
