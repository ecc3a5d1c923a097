"""Addresses of six languages are found whole, and sentences with numbers are none."""

from __future__ import annotations

import pytest

from emafusion.protect import names
from emafusion.protect.entities import apart
from emafusion.protect.recognisers import places, streets, tables
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


def english(text: str) -> list[str]:
    return [text[one.start : one.end] for one in apart(places.streets(Reading(text)))]


@pytest.mark.parametrize(
    "address",
    [
        "14 Oak Street", "1600 Pennsylvania Avenue NW, Washington, DC 20500",
        "100 King St W, Toronto, ON M5X 1A9", "Unit 4/12 Smith Street, Fitzroy VIC 3065",
        "4500 N 16th St Apt 210 Phoenix AZ 85016", "Flat 3, 17 Elm Grove, Brighton BN2 3DA",
        "8 The Green, Suite A, Dover, DE 19901", "15 Esplanade, Jersey JE1 1AA",
        "2nd Floor, 9 Harbour View, Cork T12 AB34", "PO Box 123, Leeds LS1 1AA",
        "14 OAK STREET, LEEDS", "22 willow close, leeds ls1 4ab", "33 Mountain View",
        "12 Oak Street\nLeeds\nLS1 4AB", "Rose Cottage, Mill Lane, Ambridge, BM5 1AA",
    ],
)  # fmt: skip
def test_an_english_address_is_found_in_sentences_and_alone(address: str) -> None:
    assert english(address) == [address]
    assert english(f"She lives at {address}") == [address]


@pytest.mark.parametrize(
    "text",
    [
        "12 Monkeys Drive was not a film.", "We ran 5 Tests Way too often.",
        "Top 10 Best Place to eat", "In 1984 Big Brother Way of thinking",
        "On page 45 Old Testament Way begins.", "B2 3CD in the spreadsheet",
        "Use grid E5 7FG in the map.", "H2 2NO is not a compound.", "a 4 lane highway is full",
        "We sold 5 Main Street Bakery mugs.", "address: 0x7ffe12 was freed",
        '{"address": "10.0.0.1:80"}',
    ],
)  # fmt: skip
def test_english_sentences_with_numbers_are_no_addresses(text: str) -> None:
    assert english(text) == []


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ('{"id": 7, "shippingAddress": "One Elm Rise, Leeds", "n": 1}', "One Elm Rise, Leeds"),
        ("name: Jane\naddress: 3 Bishopsgate, London\nage: 4", "3 Bishopsgate, London"),
        ("he lives at 14 oak\nstreet", "14 oak\nstreet"),
    ],
)
def test_a_cue_allows_wider_forms(text: str, address: str) -> None:
    assert english(text) == [address]


def test_a_column_of_addresses_is_found_by_its_head() -> None:
    text = "id,street_address,city\n7,3 Bishopsgate,Leeds\n"
    assert [text[one.start : one.end] for one in tables.tabled(Reading(text))] == ["3 Bishopsgate"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('{"customer":"Rajesh Kumar"}', ["Rajesh Kumar"]), ('"first_name": "Ngozi"', ["Ngozi"]),
        ('{"body": "{\\"lastName\\": \\"Ørsted\\"}"}', ["Ørsted"]),
        ("id,full_name\n7,Jane Roe\n", ["Jane Roe"]),
        ('"name": "Build Pipeline"', []), ('"customer": "customer_42"', []),
        ('"username": "Jane"', []),
    ],
)  # fmt: skip
def test_a_key_of_people_is_followed_by_a_name(text: str, name: list[str]) -> None:
    assert [text[one.start : one.end] for one in names.keyed(text)] == name
