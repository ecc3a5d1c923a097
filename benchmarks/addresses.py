"""How many addresses of six languages are found, and how many sentences are taken for one.

Run: ``python benchmarks/addresses.py [--misses]``. Streets, towns and sentences are made up here;
an address counts as found when every letter and digit of it is covered. English ones are of five
countries and stand in prose, tables, keys and signatures; their forms and places that are held out
were written after the patterns.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator

from emafusion.protect.entities import Entity
from emafusion.protect.recognisers import places, streets, tables
from emafusion.protect.recognisers.reading import Reading

STREETS = {
    "de": "Goethestraße|Bahnhofstr.|Schillerplatz|Lange Gasse|Kaiserdamm|Mühlenweg|Neuer Ring"
    "|Friedrich-Ebert-Allee|Untere Bachstraße|Elbufer|Hohenzollernring|Kirchplatz",
    "fr": "rue Lafayette|rue de l'Église|avenue des Champs-Élysées|boulevard Voltaire"
    "|place de la Gare|impasse du Moulin|quai Malaquais|chemin des Vignes|allée des Tilleuls"
    "|cours Mirabeau|route de Lyon|rue du 8 Mai",
    "es": "Calle Serrano|Calle de la Luna|C/ Colón|Avenida de América|Paseo de Gracia|Plaza Mayor"
    "|Avda. Diagonal|Ronda de Toledo|Camino Viejo|Travesía del Pez|Carrer de Balmes|Rambla Nova",
    "it": "Via Roma|Via dei Serragli|Viale Monza|Piazza Navona|Corso Buenos Aires|Largo Augusto"
    "|Vicolo del Cinque|Via San Vitale|via XX Settembre|Piazzale Loreto|Strada Maggiore"
    "|Lungotevere Testaccio",
    "nl": "Dorpsstraat|Prinsengracht|Stationsweg|Mozartlaan|Marktplein|Oude Kerkstraat|Singeldijk"
    "|Jan van Galenstraat|Havenkade|Nieuwe Binnenweg|Herensingel|Beukendreef",
}
TOWNS = {
    "de": "Leipzig|Bad Homburg|Frankfurt am Main|Neuss|Görlitz",
    "fr": "Nantes|Aix-en-Provence|La Rochelle|Saint-Denis|Le Mans",
    "es": "Valencia|San Sebastián|Las Palmas|Jerez de la Frontera|Gijón",
    "it": "Torino|Reggio Emilia|La Spezia|Ascoli Piceno|Bari",
    "nl": "Rotterdam|Den Haag|Leiden|Alkmaar|Zwolle",
}
FRAMES = {
    "de": "Bitte liefern Sie an {}.|Ich wohne seit Mai in der {}."
    "|Neue Anschrift: {}|Treffpunkt {}, 8 Uhr",
    "fr": "Livrez le colis au {}.|J'habite {} depuis mai.|Adresse : {}|Le siège se trouve {}.",
    "es": "Envíalo a {}.|Vivo en {} desde mayo.|Dirección: {}|La oficina está en {}.",
    "it": "Spedite a {}.|Abito in {} da maggio.|Indirizzo: {}|L'ufficio si trova in {}.",
    "nl": "Stuur het naar {}.|Ik woon sinds mei op {}.|Adres: {}|Het kantoor is aan de {}.",
}
CLEAN = {
    "de": "Der Zug fährt um {n} Uhr.|Auf dem Weg {n} Kilometer vor Ulm.|Platz {n} von 90"
    "|Die Straße 12 Meter weiter ist gesperrt.|Im Mai 2026 kamen {n} Gäste.|Seite {n}",
    "fr": "Le train part à {n} heures.|Il a gagné {n} places en 2024.|La rue est fermée {n} jours."
    "|Cours {n} du lundi|Il reste {n} places de cinéma.|Page {n}, chapitre 3",
    "es": "El tren sale a las {n}.|Hay {n} plazas libres en el hotel.|La calle mide {n} m."
    "|El paseo de {n} minutos|Página {n} de 90|El camino tiene {n} curvas.",
    "it": "Il treno parte alle {n}.|La via più breve: {n} minuti.|Corso di {n} ore|Pagina {n} di 90"
    "|Spedito via corriere il {n} maggio.|La piazza ha {n} lampioni.",
    "nl": "De trein vertrekt om {n} uur.|De weg is {n} km lang.|Er zijn {n} pleinen."
    "|Bladzijde {n} van 90|In mei kwamen {n} gasten.|Om {n} uur op het plein",
}  # fmt: skip


ENGLISH = {
    "us": "{n} {street} {kind}, {town}, {state} {zip}"
    "|{n} {d} {street} {kind} Apt {u}, {town} {state}"
    " {zip}|{n} {street} {kind} {d}, {town}, {state} {zip}-{four}|PO Box {n}, {town}, {state} {zip}"
    "|{n} {street} {kind}|{n} {street} {kind}, Suite {u}|{n} {m}th {kind}, Floor {m}",
    "uk": "{n} {street} {kind}, {town} {uk}|Flat {u}, {n} {street} {kind}, {town}, {uk}"
    "|{n}-{o} {street} {kind}\n{town}\n{uk}|{street} House, {n} {street} {kind}, {town} {uk}"
    "|{n} {street} {kind}, {town}|{n}a {street} {kind}",
    "ca": "{n} {street} {kind} {d}, {town}, {province} {ca}|{u}-{n} {street} {kind}, {town},"
    " {province} {ca}|{n} {street} {kind}, Unit {u}, {town} {province} {ca}",
    "au": "Unit {m}/{n} {street} {kind}, {town} {aus} {four}"
    "|{n} {street} {kind}, {town} {aus} {four}"
    "|Level {m}, {n} {street} {kind}, {town}|GPO Box {n}, {town} {aus} {four}",
    "ie": "{n} {street} {kind}, {town}, {eir}|Apartment {m}, {n} {street} {kind}, Dublin {m}"
    "|{n} {street} {kind}, {town}, Co. Kerry",
}
HELD_ENGLISH = {
    "us": "{n} {street} {kind} Unit #{u}\n{town}, {state} {zip}|{n} {d}. {street} {kind}, Rm {u},"
    " {town}, {state}|RR {m} Box {n}, {town}, {state} {zip}"
    "|One {street} {kind}, {town}, {state} {zip}",
    "uk": "Second Floor, {n} {street} {kind}, {town} {uk}|{street} Cottage, {street} Lane, {town}"
    " {uk}|{n}/{m} {street} {kind}, {town} {uk}|Studio {m}, {n} {street} {kind}, {town}, {uk}, UK",
    "ca": "Suite {n}, {o} {street} {kind} {d}\n{town} {province}\n{ca}|{n} {street} {kind}, {town}"
    " {province} {ca}, Canada",
    "au": "Shop {m}, {n} {street} {kind}, {town}, {aus}, {four}"
    "|Lot {m} {street} {kind}, {town} {aus}"
    " {four}|{m}/{n}-{o} {street} {kind}\n{town} {aus} {four}",
    "ie": "{n} The {kind}, {town}, {eir}|{n} Lower {street} {kind}, Dublin {m}, Ireland",
}
"""Forms of addresses by country."""
PARTS = {
    "street": "Maple|Oak Hill|Kingfisher|St. Anne's|Old Mill|Chestnut|Queen Victoria|O'Connell|Elm",
    "kind": "Street|Road|Avenue|Lane|Drive|Court|St|Ave|Rd|Blvd|Close|Way|Crescent|Place|Terrace"
    "|Pkwy|Grove|View|Square|Dr|Gardens",
    "town": "Bristol|Leeds|Portland|Galway|Norwich|Albany|St. Ives|New Harbour|Castlebay",
    "state": "OR|TX|NY|CA|WA", "province": "ON|BC|QC|AB", "aus": "NSW|VIC|QLD|WA",
    "uk": "BS1 4QT|LS12 8EF|SW1A 1BB|M4 1HN|NR2 2BJ", "ca": "M5X 1A9|V6B 2K4|H2Y1C6",
    "eir": "D02 X285|H91 AE27", "d": "N|SW|West|E", "zip": "97205|10016|78701",
    "four": "2000|3065|4870", "u": "4B|12|C|210",
}  # fmt: skip
HELD_PARTS = {
    **PARTS,
    "street": "Wattle|Harrow|McAllister|Saint Brendan's|Long Meadow|Ash|King George",
    "kind": "Street|Road|Ave.|Ln|Cres|Pl|Hwy|Parade|Mews|Quay|Circuit|Heights|Rise|Trail|Hill|Row",
    "town": "Dunmore|Fort Reed|Ashby-on-Sea|Ballyhill|Wollaston",
}
PLACES = [
    "Please deliver it to {} before noon.",
    "I live at {}.",
    "She moved to {} in May.",
    "{}",
    "Best regards,\nJane Roe\n{}\n+1 503 555 0142",
    "Address: {}",
    "The flat at {} is empty.",
    '{{"id": 7, "address": "{}", "open": true}}',
    'id,street_address\n7,"{}"\n',
    "name: Jane\naddress: {}\nage: 41",
    "Our office ({}) is closed.",
]
HELD_PLACES = [
    "The parcel for {} came back.",
    "We met outside {}, as agreed.",
    "<address>{}</address>",
    '{{"shippingAddress": "{}", "total": 4}}',
    "| name | address |\n|---|---|\n| Jane | {} |",
    "Jane Roe | {} | jane@post.example",
    "Bill to: {}",
    "My new place is {}, come by.",
    "person;street;x\nJane;{};1",
]
ENGLISH_CLEAN = (
    "We sold {n} Main Street Bakery mugs.|Top {n} best places to eat.|He drove {n} miles down the"
    " road.|In 1984 Big Ideas Way of thinking|It has {n} way switches and {n} courts."
    "|Page {n} Court"
    " rulings|Take {n} more steps close to the hill.|They ran {n} Road Tests.|Room {n} View is set."
    "|Over {n} park rangers met at 10 near the lane.|Cell B{n} 3CD holds it.|Turn after {n} yards"
    "|a {n} lane highway|Only {n} drive bays are left.|The {n} square tables"
    "|Section {n} Place names"
    "|At {n} she will drive.|the top {n} street foods|He has {n} Dr Who tapes."
    "|from {n} point of view"
)


def english(country: str, chance: random.Random, *, held: bool) -> str:
    """An address of an English-speaking country, in capitals or small letters now and then."""
    form = chance.choice((HELD_ENGLISH if held else ENGLISH)[country].split("|"))
    parts = HELD_PARTS if held else PARTS
    said = form.format(
        n=chance.randrange(1, 999), o=chance.randrange(1000, 2400), m=chance.randrange(4, 12),
        **{name: chance.choice(some.split("|")) for name, some in parts.items()},
    )  # fmt: skip
    return chance.choice([said, said, said, said, said.upper(), said.lower()])


def report_english(chance: random.Random, *, misses: bool) -> dict[str, object]:
    """Recall by country, tuned and held out, and the part of sentences with an address found."""
    report: dict[str, object] = {}
    missed: list[str] = []
    for country, held in ((country, held) for held in (False, True) for country in ENGLISH):
        asked = [placed(country, chance, held=held) for _ in range(150)]
        lost = [text for text, one in asked if not covered(text, one)]
        report[f"{country}{' held out' if held else ''}"] = round(1 - len(lost) / 150, 4)
        missed += lost
    clean = [chance.choice(ENGLISH_CLEAN.split("|")).format(n=chance.randrange(2, 90))
             for _ in range(300)]  # fmt: skip
    wrong = [text for text in clean if any(_found(text))]
    if misses:
        print(*map(repr, [*missed, *sorted(set(wrong))]), sep="\n")
    return {**report, "false_positives": len(wrong) / 300}


def placed(country: str, chance: random.Random, *, held: bool) -> tuple[str, str]:
    """A text with an address of `country` in it, and the address as it stands there."""
    one = english(country, chance, held=held)
    text = chance.choice(HELD_PLACES if held else PLACES)
    if text[:2] in ("{{", "id", "na", "| ", "pe"):
        one = one.replace("\n", ", ")
    return text.format(one), one


def address(language: str, chance: random.Random) -> str:
    """An address as `language` writes it: a street and number, mostly with postcode and town."""
    street, town = (chance.choice(some[language].split("|")) for some in (STREETS, TOWNS))
    number = f"{chance.randrange(1, 240)}{chance.choice(['', '', '', 'a', ' b'])}"
    code = f"{chance.randrange(10_000, 99_999)}"
    if language == "fr":
        first = f"{number.strip('ab ')}{chance.choice([' bis', ',', '', ''])} {street}"
    else:
        first = f"{street}{chance.choice([',', '']) if language in ('es', 'it') else ''} {number}"
    if language == "nl":
        code = f"{chance.randrange(1000, 9999)} {chance.choice(['AB', 'KX', 'ZT'])}"
    between = chance.choice([", ", "\n", ", "])
    return chance.choice(
        [first, f"{first}{between}{code} {town}", f"{first}{between}{code} {town}"]
    )


def covered(text: str, value: str) -> bool:
    """Whether no letter or digit of `value` is left outside of what is found in `text`."""
    inside = {place for one in _found(text) for place in range(one.start, one.end)}
    start = text.index(value)
    return all(start + n in inside for n, c in enumerate(value) if c.isalnum())


def _found(text: str) -> Iterator[Entity]:
    reading = Reading(text)
    yield from streets.abroad(reading)
    yield from places.streets(reading)
    yield from (one for one in tables.tabled(reading) if one.kind == "ADDRESS")


def clean(language: str, chance: random.Random) -> Iterator[str]:
    """300 sentences with numbers and words that streets have."""
    for _ in range(300):
        yield chance.choice(CLEAN[language].split("|")).format(n=chance.randrange(2, 90))


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--misses", action="store_true", help="print what was missed")
    chosen = arguments.parse_args()
    chance = random.Random(7)
    report: dict[str, object] = {"en": report_english(chance, misses=chosen.misses)}
    for language, frames in FRAMES.items():
        asked = [address(language, chance) for _ in range(300)]
        hit = [covered(chance.choice(frames.split("|")).format(one), one) for one in asked]
        wrong = [any(_found(text)) for text in clean(language, chance)]
        report[language] = {"recall": sum(hit) / 300, "false_positives": sum(wrong) / 300}
        print([one for one, right in zip(asked, hit, strict=True) if not right][:6])
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
