"""Addresses in five more languages are found whole, and sentences with numbers are none."""

from __future__ import annotations

import pytest

from emafusion.protect.entities import apart
from emafusion.protect.recognisers import streets
from emafusion.protect.recognisers.reading import Reading


def addresses(text: str) -> list[str]:
    return [text[one.start : one.end] for one in apart(streets.abroad(Reading(text)))]


@pytest.mark.parametrize(
    "address",
    [
        "Lindenstraße 14", "Hauptstr. 7a, 50667 Köln", "Berliner Allee 112, D-40212 Düsseldorf",
        "Am Stadtpark 3, 22303 Hamburg", "Karl-Marx-Straße 20-22, 12043 Berlin",
        "12 rue de la République, 69002 Lyon", "3 bis, avenue Victor Hugo, 75016 Paris",
        "45 boulevard Saint-Michel", "8 place du Marché, 67000 Strasbourg Cedex 2",
        "Calle de Alcalá 45, 3º B, 28014 Madrid", "C/ Mayor, 12, 50001 Zaragoza",
        "Avda. de la Constitución 8, 41001 Sevilla", "Plaza España n.º 4",
        "Via Giuseppe Garibaldi 21, 20121 Milano (MI)", "Corso Vittorio Emanuele II, 90",
        "Piazza del Duomo 1, 50122 Firenze FI", "viale dei Mille 30/b",
        "Keizersgracht 123-II, 1015 CJ Amsterdam", "Van Goghlaan 8",
        "Kerkstraat 5a, 3511 KX Utrecht",
    ],
)  # fmt: skip
def test_an_address_is_found_to_its_last_word(address: str) -> None:
    assert addresses(f"Post: {address}.") == [address]
    assert addresses(f"x ({address}) y") == [address]


@pytest.mark.parametrize(
    "text",
    [
        "Er ist auf dem Weg 5 Mal gestürzt.", "Im Januar 2026 kamen 12345 Besucher.",
        "Der Ring 3 war frei; Platz 5 ging an Bremen.", "Am Montag 12 Uhr", "Gleis 5 und 7",
        "Il y a 12 rues dans ce village.", "En 2024, avenue de recherche et 3 places de parking.",
        "El paseo dura 45 minutos.", "La calle está cerrada desde 1998.",
        "La plaza tiene 4 fuentes.",
        "L'ho inviato via mail 3 volte.", "Il corso dura 12 settimane e costa 300 euro.",
        "Il treno via Bologna parte alle 9.", "De weg is 12 km lang.", "In 2024 EU regels",
        "Call strada 5", "std::ring 4", "route 66 is long",
    ],
)  # fmt: skip
def test_sentences_with_numbers_are_no_addresses(text: str) -> None:
    assert addresses(text) == []
