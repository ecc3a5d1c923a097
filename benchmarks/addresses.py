"""How many addresses of five languages are found, and how many sentences are taken for one.

Run: ``python benchmarks/addresses.py``. Streets, towns and sentences are made up here; an address
counts as found when every letter and digit of it is covered.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

from emafusion.protect.recognisers import streets
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
    found = streets.abroad(Reading(text))
    places = {place for one in found for place in range(one.start, one.end)}
    start = text.index(value)
    return all(start + n in places for n, c in enumerate(value) if c.isalnum())


def clean(language: str, chance: random.Random) -> Iterator[str]:
    """300 sentences with numbers and words that streets have."""
    for _ in range(300):
        yield chance.choice(CLEAN[language].split("|")).format(n=chance.randrange(2, 90))


def main() -> None:
    chance = random.Random(7)
    report = {}
    for language, frames in FRAMES.items():
        asked = [address(language, chance) for _ in range(300)]
        hit = [covered(chance.choice(frames.split("|")).format(one), one) for one in asked]
        wrong = [any(streets.abroad(Reading(text))) for text in clean(language, chance)]
        report[language] = {"recall": sum(hit) / 300, "false_positives": sum(wrong) / 300}
        print([one for one, right in zip(asked, hit, strict=True) if not right][:6])
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
