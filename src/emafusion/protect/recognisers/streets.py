"""Postal addresses as German, French, Spanish, Italian and Dutch speakers write them.

A street of a known kind with a house number, and the postcode and town behind it where they stand
there. A street without a kind in its name ("Am Markt 5") is one with its postcode only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from emafusion.protect.entities import Entity
from emafusion.protect.recognisers.reading import Reading

_UP = r"[A-ZÀÁÂÄÇÈÉÊËÌÍÎÑÒÓÔÖÙÚÜŒ]"
_NAME = rf"{_UP}(?:[\w’']|-(?=\w)){{1,24}}"
_OF = (
    r"(?:(?:de|du|des|da|di|del|della|delle|dei|degli|dello|dell['’]|dal|la|le|les|los|las|el"
    r"|lo|l['’]"
    r"|d['’]|van|den|der|e|y|i|et|sur|en|san|santa|st\.|ste\.|dr\.|dott\.|gral\.) ?)"
)
_WORDS = rf"{_OF}{{0,3}}(?:{_NAME}|\d{{1,2}}(?:er)? {_NAME})(?: {_OF}{{0,3}}{_NAME}){{0,3}}"
_NUMBER = (
    r"\d{1,4}(?: ?[a-zA-Z](?!\w)| ?(?:bis|ter|quater)\b)?(?:[/-](?:\d{1,4}[a-z]?|[a-zA-Z]))?"
    r"(?!\w)(?!\.\d)"
)
_TOWN = (
    rf"(?:\d{{1,2}}[eè]me |{_OF})?{_NAME}"
    rf"(?:[ -](?:{_OF}{{0,2}}|am |an der |a/)?(?!(?i:cedex)){_NAME}){{0,3}}"
)
_GAP = r"(?:,? ?\n|, ?| - | )"
_FLAT = (
    r"(?:,? (?:\d{1,2}\.?[ºª°] ?(?:\w{1,4}\.?)?|(?:piso|bajo|puerta|esc\.|int\.|interno|scala"
    r"|appt\.?"
    r"|apt\.|bât\.?|bus|hs|App\.|Whg\.) ?\w{0,4})){0,2}"
)
GERMAN = re.compile(
    r"(?<![\w-])(?:(?:(?:Ober|Unter|Alt|Neu|Lang|Kurz|Groß|Klein|Hinter|Vorder|Inner|Breit)\w* )?"
    rf"{_UP}[\wäöüß.-]{{1,30}}(?:stra(?:ß|ss)e|str\.|weg|platz|allee|gasse|damm|ufer"
    r"|chaussee|steig|stieg|ring|promenade)|(?!(?:De[rmn]|Die|Das|Eine?|Jeder|Dieser|Auf|Im)"
    r" )(?:[A-ZÄÖÜ][\wäöüß.-]{1,24}[ -]){1,3}(?:Stra(?:ß|ss)e"
    rf"|Str\.|Weg|Platz|Allee|Gasse|Damm|Ufer|Ring)) {_NUMBER}(?:{_GAP}(?:[DA]-)?\d{{4,5}}"
    rf" {_TOWN})?"
)
GERMAN_BARE = re.compile(
    r"(?<![\w-])(?:Am|An der|An den|Auf der|Auf dem|Im|In der|Zum|Zur|Unter den|Alter|Neuer) "
    rf"{_UP}[\wäöüß-]{{2,24}} {_NUMBER}{_GAP}(?:[DA]-)?\d{{4,5}} {_TOWN}"
)
FRENCH = re.compile(
    rf"(?<![\w.,])\d{{1,4}}(?: ?(?:bis|ter|quater|[A-D]))?,? (?i:rue|avenue|av\.|boulevard"
    rf"|bd\.?|place"
    r"|chemin|allée|impasse|quai|cours|route|square|passage|faubourg|villa|sentier|esplanade) "
    rf"{_WORDS}{_FLAT}(?:{_GAP}(?:F-)?\d{{5}} {_TOWN}(?: (?i:cedex)(?: \d{{1,2}})?)?)?"
)
SPANISH = re.compile(
    r"(?<!\w)(?i:c/|calle|avenida|avda\.?|av\.|plaza|pza\.?|paseo|camino|carretera|ronda|travesía"
    rf"|glorieta|rambla|carrer|calleja) ?{_WORDS},? (?:n\.?[º°] ?|núm\. ?|número |s/n)?{_NUMBER}"
    rf"{_FLAT}(?:{_GAP}(?:E-)?\d{{5}} {_TOWN})?"
)
ITALIAN = re.compile(
    r"(?<!\w)(?i:via|viale|v\.le|piazza|p\.zza|piazzale|corso|c\.so|largo|vicolo|strada|contrada"
    rf"|salita|lungomare|lungotevere|galleria) {_WORDS},? (?:n\.? ?|nr\. ?|civico"
    rf" )?{_NUMBER}{_FLAT}"
    rf"(?:{_GAP}(?:I-)?\d{{5}} {_TOWN}(?: \([A-Z]{{2}}\)| [A-Z]{{2}}\b)?)?"
)
DUTCH = re.compile(
    rf"(?<![\w-])(?:(?:{_NAME}|van|der|de|den) ){{0,3}}[A-Z][\w.'-]{{1,30}}(?:straat|weg|laan|plein"
    rf"|gracht|kade|dijk|singel|dreef|steeg|plantsoen|burgwal) {_NUMBER}(?:-(?:\d{{1,3}}"
    rf"|[IVX]{{1,4}}"
    rf"|hs))?(?:{_GAP}\d{{4}} ?[A-Z]{{2}}(?: {_TOWN})?)?"
)
POSTCODE_NL = re.compile(rf"(?<!\w)[1-9]\d{{3}} [A-Z]{{2}} {_TOWN}")
HINTS = (
    " ",
    "am |an de|auf de|im |in der |zum |zur |unter den |alter |neuer ",
    " ",
    "c/|calle|avenida |avda|av. |plaza |pza|paseo |camino |carretera |ronda |travesía |glorieta "
    "|rambla |carrer ",
    "via |viale |v.le |piazza |p.zza |piazzale |corso |c.so |largo |vicolo |strada |contrada "
    "|salita |lungomare |lungotevere |galleria ",
    " ",
    "",
)
"""What of each pattern is soon found in small letters."""
HOUSES = (
    # The last letters of a street, so that a search begins at a digit.
    r"[0-9](?<=(?:aße|sse|tr\.|weg|atz|lee|amm|fer|eig|ieg|ing|ade) [0-9])",
    r"[0-9],?\s(?:[da]-)?[0-9]{4,5}\s[a-zà-ü]",
    r"[0-9],? ?(?:bis,? |ter,? |quater,? |[a-d],? )?(?:rue|avenue|av\.|boulevard|bd\.?|place|chemin"
    r"|allée|impasse|quai|cours|route|square|passage|faubourg|villa|sentier|esplanade) ",
    r"[0-9](?<=\w [0-9])|[0-9](?<=[,.º°/] [0-9])|[0-9](?<=/n[0-9])",
    r"[0-9](?<=\w [0-9])|[0-9](?<=[,.] [0-9])",
    r"[0-9](?<=(?:aat|weg|aan|ein|cht|ade|ijk|gel|eef|eeg|oen|wal) [0-9])",
    r"[1-9][0-9]{3} [a-z]{2} ",
)
"""What of each is then looked for before it is searched in earnest."""
PATTERNS = tuple(
    zip(
        (GERMAN, GERMAN_BARE, FRENCH, SPANISH, ITALIAN, DUTCH, POSTCODE_NL),
        [tuple(hints.split("|")) for hints in HINTS],
        map(re.compile, HOUSES),
        strict=True,
    )
)


def abroad(reading: Reading) -> Iterator[Entity]:
    """Streets with a house number, with the postcode and town behind them."""
    if not reading.has_digits:
        return
    folded = reading.folded
    for pattern, hints, house in PATTERNS:
        if not any(hint in folded for hint in hints) or house.search(folded) is None:
            continue
        for found in pattern.finditer(reading.text):
            yield Entity(kind="ADDRESS", start=found.start(), end=found.end(), score=0.65)
