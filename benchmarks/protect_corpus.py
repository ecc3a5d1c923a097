"""Sentences with sensitive values in known places, and sentences without any: all made up.

Every value is generated with right check digits, by arithmetic of its own. Nothing here knows how
values are found.
"""

from __future__ import annotations

import html
import json
import random
import re
import string
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass

import protect_contexts as contexts
import protect_frames as more


@dataclass(frozen=True, slots=True)
class Sentence:
    """A text, and the values in it by kind; none where it is clean."""

    text: str
    language: str
    values: tuple[tuple[str, str], ...] = ()


def _words(text: str) -> list[str]:
    return text.split()


def named(kind: str) -> str:
    """What detectors call a kind of the corpus."""
    return {"PASSWORD": "KEY"}.get(kind, kind.partition(":")[0])


def _as_written(text: str, value: str) -> str:
    """`value` as it stands in `text`, escaped or not."""
    once = json.dumps(value)[1:-1]
    forms = (value, once, json.dumps(once)[1:-1], html.escape(value), urllib.parse.quote(value),
             urllib.parse.quote_plus(value), repr(value)[1:-1])  # fmt: skip
    return next(form for form in forms if form in text)


FRAMES = {
    "EMAIL": {
        "en": ["Could you forward the slides to {}?", "{} never answered my second message.",
               "Add {} in copy, please.", "reply-to: {}; subject: water damage"],
        "de": ["Bitte schicken Sie den Vertrag an {}.", "Die Adresse {} ist nicht mehr gültig."],
        "fr": ["Merci d'envoyer la facture à {}.", "Son adresse est {}, je crois."],
        "es": ["Mándame el informe a {}, por favor.", "El correo {} rebota siempre."],
        "it": ["Scrivi a {} per il preventivo.", "L'indirizzo {} non funziona più."],
    },
    "PHONE": {
        "en": ["You can reach the night desk on {}.", "Call me back at {} after six.",
               "Her mobile is {} and she prefers texts.", "Fax the form to {}."],
        "de": ["Rufen Sie mich unter {} zurück.", "Meine Handynummer lautet {}."],
        "fr": ["Appelez-moi au {} demain matin.", "Son portable : {}."],
        "es": ["Mi teléfono es {}.", "Llámame al {} cuando llegues."],
        "it": ["Il mio cellulare è {}.", "Chiamami al {} stasera."],
    },
    "IBAN": {
        "en": ["Refund the deposit to {} by Friday.", "The payee's account is {}."],
        "de": ["Überweisen Sie den Betrag auf {}.", "Unsere Kontonummer: {}."],
        "fr": ["Le virement part du compte {}.", "Voici mon RIB : {}"],
        "es": ["Ingresa el alquiler en {}.", "La cuenta {} está cerrada."],
        "it": ["Il bonifico va su {}.", "Le coordinate sono {}."],
    },
    "CARD": {
        "en": ["She paid with {} on Sunday.", "Charge {} for the second night."],
        "de": ["Die Karte {} wurde abgelehnt.", "Bitte belasten Sie {}."],
        "fr": ["La carte {} a expiré.", "Débitez {} s'il vous plaît."],
        "es": ["Pagué con la tarjeta {} ayer.", "Cobra a {} el resto."],
        "it": ["La carta {} è bloccata.", "Addebita su {} il saldo."],
    },
    "KEY": {
        "en": ["The deploy fails with {} in the header.", "I pasted {} into the chat by mistake.",
               "export TOKEN={}"],
        "de": ["Der Schlüssel {} liegt offen im Repository."],
        "fr": ["La clé {} doit être révoquée."],
        "es": ["Alguien publicó {} en el foro."],
        "it": ["Ho trovato {} nei log."],
    },
    "URL": {
        "en": ["The job pulls from {} every hour.", "Clone {} first."],
        "de": ["Die Datenbank steht unter {} bereit."],
        "fr": ["Le script lit {} chaque nuit."],
        "es": ["La copia va a {} los lunes."],
        "it": ["Collegati a {} con il client."],
    },
    "IP": {
        "en": ["Traffic from {} spiked at noon.", "Ban {} for an hour."],
        "de": ["Der Server {} antwortet nicht."],
        "fr": ["La machine {} est en panne."],
        "es": ["El equipo {} está infectado."],
        "it": ["La richiesta arriva da {} ogni minuto."],
    },
    "ID:us": {"en": ["My social security number is {}.", "SSN {} belongs to the tenant."]},
    "ID:uk": {"en": ["National insurance: {}.", "Payroll has {} on file for him."]},
    "ID:nhs": {"en": ["NHS number {} was read out twice."]},
    "ID:de": {"de": ["Meine Steuer-ID lautet {}.", "Die Identifikationsnummer {} fehlt."]},
    "ID:fr": {"fr": ["Mon numéro de sécurité sociale est {}.", "Le NIR {} est erroné."]},
    "ID:es": {"es": ["Mi DNI es {}.", "El titular con NIE o DNI {} firmó."]},
    "ID:it": {"it": ["Il mio codice fiscale è {}.", "Il contribuente {} ha pagato."]},
    "BIRTH": {
        "en": ["He was born on {} in a small town.", "Date of birth: {}"],
        "de": ["Geburtsdatum: {}", "Sie ist am {} geboren worden."],
        "fr": ["Elle est née le {} à Lyon.", "Date de naissance : {}"],
        "es": ["Nació el {} en Vigo.", "Fecha de nacimiento: {}"],
        "it": ["È nato il {} a Bari.", "Data di nascita: {}"],
    },
    "PASSPORT": {
        "en": ["Her passport number is {}.", "Passport {} expires in May."],
        "de": ["Reisepass Nr. {} ist abgelaufen."],
        "fr": ["Mon passeport porte le numéro {}."],
        "es": ["El pasaporte {} está caducado."],
        "it": ["Il passaporto {} è scaduto."],
    },
    "LICENCE": {
        "en": ["The driver's license {} was suspended.", "Driving licence no. {} was checked."],
        "de": ["Führerschein Nummer {} liegt vor."],
        "fr": ["Son permis de conduire {} est valide."],
        "es": ["El permiso de conducir {} es nuevo."],
        "it": ["La patente di guida {} è sospesa."],
    },
    "PERSON": {
        "en": ["{} signed the lease on Tuesday.", "I spoke with {} about the leak.",
               "Please ask {} whether the parcel came.", "The complaint was filed by {} last week.",
               "My name is {} and I need a refund.", "Dear {}, thank you for waiting.",
               "According to {}, the meeting was moved.", "{} and the landlord disagree."],
    },
    "ADDRESS": {
        "en": ["Deliver it to {} before noon.", "She moved to {} in spring.",
               "The flat at {} is still empty.", "Our office is at {}.",
               "Send post to {}, please."],
    },
}  # fmt: skip
CLEAN = {
    "en": [
        "The report has {n} pages and {m} tables.", "Version {v} fixes the crash on start-up.",
        "Order {o} left the warehouse at {t}.", "The meeting is on {d} at {t}.",
        "We sold {n},{k} units for ${n}.{m} each.", "Multiply {n} by {m} and subtract {k}.",
        "Chapter {m} explains how passports were invented.", "Why do cats purr at night?",
        "Reset your password if you forget it.", "The API returns an error when the token expires.",
        "Commit {h} broke the build.", "ISBN 978-{a}-{b}-{c}-4 is out of print.",
        "The ratio rose from 0.{k} to 0.{n} in {y}.", "It rained for {m} days in Lisbon.",
        "Use std::vector instead of a raw array.", "for (i = 0; i < {k}; i++) total += i;",
        "Ticket {n}-{k} is a duplicate of {m}.", "Call the function with two arguments.",
        "The email never arrived.", "She was born in a village near the sea.",
        "Driving on the left takes practice.", "Summarise the following paragraph in one line.",
        "SELECT count(*) FROM orders WHERE total > {k};", "Bake at 180 degrees for {m} minutes.",
        "Flight {f} departs from gate {m}.", "Temperatures between -{m} and {n} are normal.",
        "The street was empty and the market closed.", "A mobile phone weighs about {k} grams.",
    ],
    "de": [
        "Der Zug fährt um {t} von Gleis {m}.", "Die Rechnung {o} ist bezahlt.",
        "Am {d} bleibt das Büro geschlossen.", "Das Gerät wiegt {n},{m} Kilogramm.",
        "Bitte fassen Sie den Text zusammen.", "Wie viele Einwohner hat die Stadt?",
    ],
    "fr": [
        "Le train part à {t} du quai {m}.", "La commande {o} est arrivée.",
        "Le bureau est fermé le {d}.", "Cela coûte {n},{m} euros.",
        "Résume ce texte en une phrase.",
    ],
    "es": [
        "El tren sale a las {t} del andén {m}.", "El pedido {o} llegó tarde.",
        "La oficina cierra el {d}.", "Cuesta {n},{m} euros.", "¿Cuántos días dura el viaje?",
    ],
    "it": [
        "Il treno parte alle {t} dal binario {m}.", "L'ordine {o} è in ritardo.",
        "L'ufficio chiude il {d}.", "Costa {n},{m} euro.", "Riassumi il testo in una frase.",
    ],
}  # fmt: skip
FIRST = _words(
    "Amelia Oluwaseun Priya Dmitri Siobhan Mateus Yuki Fatima Henrik Chidi Leila Piotr Ngozi "
    "Arjun Beatriz Caleb Ingrid Malik Rosalind Tomasz Aisha Gareth Noor Wendell Paloma Ebenezer "
    "Keiko Santiago Marguerite Tobias "
)
LAST = _words(
    "Okonkwo Hargreaves Raman Volkov Gallagher Teixeira Tanaka Haddad Lindqvist Achebe Farahani "
    "Nowak Whitfield Mehta Carvalho Abernathy Solheim Rahman Pemberton Zielinski Castellanos "
    "Pryce Blackwood Ferreira Mensah Ishikawa Delacroix Lockhart Winterbourne Kowalczyk "
)
STREETS = _words(
    "Maple Orchard Kingfisher Station Mill Chestnut Harbour Priory Linden Quarry Meadow Foundry "
    "Sycamore Cathedral Juniper Bramble Wellington Fairview "
)
KINDS_OF_STREET = _words("Street Road Avenue Lane Drive Court St Ave Rd Blvd Close Way Crescent ")
TOWNS = _words("Bristol Leeds Portland Denver Galway Norwich Albany Tucson Swansea Dayton ")
DOMAINS = _words(
    "harbour-freight.example mail.tessera.test klinik.example post.example uni.example "
)


class Maker:
    """Makes sentences, the same ones from the same `seed`; with `held`, of forms held out."""

    def __init__(self, seed: int, *, held: bool = False) -> None:
        self._random = random.Random(seed)
        self._held = held

    def sensitive(self, n: int) -> Iterator[Sentence]:
        """`n` sentences, each with one value, kinds and languages by turns."""
        sources = (more.HELD,) if self._held else (FRAMES, more.MORE)
        turns = [(kind, language, some) for frames in sources for kind, by in frames.items()
                 for language, some in by.items()]  # fmt: skip
        for turn in range(n):
            kind, language, some = turns[turn % len(turns)]
            value = self.value(kind, language)
            yield Sentence(
                self._random.choice(some).format(value), language, ((named(kind), value),)
            )

    def people(self, n: int) -> Iterator[Sentence]:
        """`n` English sentences with a name."""
        for _ in range(n):
            name = self._person()
            frame = self._random.choice(FRAMES["PERSON"]["en"])
            yield Sentence(frame.format(name), "en", (("PERSON", name),))

    def placed(self, n: int) -> Iterator[Sentence]:
        """`n` texts of other kinds than sentences, each with one value; the language is theirs."""
        writers = contexts.HELD_CONTEXTS if self._held else contexts.CONTEXTS
        turns = [(kind, name) for name in writers for kind in contexts.KEYS]
        self._random.shuffle(turns)
        for turn in range(n):
            kind, name = turns[turn % len(turns)]
            language = self._random.choice(sorted(more.MONTHS) if kind == "PHONE" else ["en"])
            value = self.value(kind, language)
            key = self._random.choice(contexts.keyed(kind, self._held))
            text = writers[name](key, value)
            yield Sentence(text, name, ((named(kind), _as_written(text, value)),))

    def hard(self, n: int) -> Iterator[Sentence]:
        """`n` clean texts that hold what looks like a value."""
        frames = contexts.HELD_HARD if self._held else contexts.HARD
        for turn in range(n):
            yield Sentence(frames[turn % len(frames)].format(**self._fillers()), "en")

    def clean(self, n: int) -> Iterator[Sentence]:
        """`n` sentences without values."""
        frames = [(frame, language) for language, some in CLEAN.items() for frame in some]
        for turn in range(n):
            frame, language = frames[turn % len(frames)]
            yield Sentence(frame.format(**self._fillers()), language)

    def value(self, kind: str, language: str) -> str:
        """A value of `kind` as it is written in `language`."""
        kind, _, country = kind.partition(":")
        makers = {
            "EMAIL": self._mail, "IBAN": self._iban, "CARD": self._card, "KEY": self._key,
            "URL": self._url, "IP": self._ip, "PERSON": self._person, "ADDRESS": self._address,
            "PASSPORT": self._passport, "LICENCE": self._licence,
        }  # fmt: skip
        if kind == "PHONE":
            return self._phone(language)
        if kind == "BIRTH":
            return self._birth(language)
        if kind == "ID":
            return self._identity(country)
        if kind == "PASSWORD":
            return self._random.choice(more.HELD_PASSWORDS if self._held else more.PASSWORDS)
        return makers[kind]()

    def _digits(self, n: int) -> str:
        return "".join(self._random.choices(string.digits, k=n))

    def _letters(self, n: int, alphabet: str = string.ascii_letters + string.digits) -> str:
        return "".join(self._random.choices(alphabet, k=n))

    def _mail(self) -> str:
        first, last = self._random.choice(FIRST).lower(), self._random.choice(LAST).lower()
        forms = [f"{first}.{last}", f"{first[0]}{last}", f"{first}_{last}+bills", f"{first}-{last}"]
        local = self._random.choice([*forms, f"{last}{self._digits(2)}"])
        return f"{local}@{self._random.choice(DOMAINS)}"

    def _phone(self, language: str) -> str:
        forms = more.HELD_PHONES if self._held else more.PHONES
        return self._filled(self._random.choice(forms[language]))

    def _filled(self, form: str) -> str:
        """`form` with a digit for each ``#``."""
        return re.sub("#", lambda _: self._random.choice(string.digits), form)

    def _iban(self) -> str:
        country, length = self._random.choice(
            [("DE", 22), ("FR", 27), ("ES", 24), ("IT", 27), ("GB", 22), ("NL", 18), ("CH", 21)]
        )
        letters = {"GB": 4, "NL": 4, "IT": 1}.get(country, 0)
        body = self._letters(letters, string.ascii_uppercase) + self._digits(length - 4 - letters)
        number = int("".join(str(int(c, 36)) for c in f"{body}{country}00"))
        whole = f"{country}{98 - number % 97:02d}{body}"
        if self._random.random() < 0.5:
            return whole
        return " ".join(whole[n : n + 4] for n in range(0, length, 4))

    def _card(self) -> str:
        start, length = self._random.choice([("4", 16), ("52", 16), ("37", 15), ("6011", 16)])
        body = start + self._digits(length - len(start) - 1)
        total = 0
        for place, c in enumerate(reversed(body)):
            value = int(c) * (2 if place % 2 == 0 else 1)
            total += value // 10 + value % 10
        whole = body + str(-total % 10)
        mark = self._random.choice(["", " ", "-"])
        return mark.join(whole[n : n + 4] for n in range(0, length, 4))

    def _key(self) -> str:
        form = self._random.choice(more.HELD_KEYS if self._held else more.KEYS)
        form = re.sub(r"#\{(\d+)\}", lambda found: self._digits(int(found[1])), form)
        upper = string.ascii_uppercase + string.digits
        alphabets = {"[": string.ascii_letters + string.digits, "<": upper,
                     "(": string.ascii_letters, "{": "0123456789abcdef"}  # fmt: skip
        return re.sub(
            r"([\[<({])(\d+)[\]>)}]",
            lambda found: self._letters(int(found[2]), alphabets[found[1]]),
            form,
        )

    def _url(self) -> str:
        scheme = self._random.choice(["postgresql", "https", "redis", "ftp", "amqp"])
        who, word = self._random.choice(FIRST).lower(), self._letters(10)
        return f"{scheme}://{who}:{word}@db{self._digits(1)}.internal.example/{self._letters(4)}"

    def _ip(self) -> str:
        if self._random.random() < 0.3:
            parts = [f"{self._random.randrange(1, 65536):x}" for _ in range(4)]
            return f"2001:db8:{parts[0]}:{parts[1]}::{parts[2]}"
        return ".".join(str(self._random.randrange(1, 255)) for _ in range(4))

    def _identity(self, country: str) -> str:
        makers = {
            "us": self._american, "uk": self._british, "nhs": self._nhs, "de": self._german,
            "fr": self._french, "es": self._spanish, "it": self._italian, "nl": self._dutch,
            "pl": self._polish, "br": self._brazilian, "se": self._swedish,
        }  # fmt: skip
        return makers[country]()

    def _american(self) -> str:
        r = self._random
        return f"{r.randrange(100, 660)}-{r.randrange(10, 99)}-{r.randrange(1000, 9999)}"

    def _british(self) -> str:
        d, pick = self._digits, self._random.choice
        letters = pick("ABCEHJ") + pick("ACEHJK")
        return pick(["", " "]).join([letters, d(2), d(2), d(2), pick("ABCD")])

    def _french(self) -> str:
        r, d = self._random, self._digits
        born = f"{d(2)}{r.randrange(1, 13):02d}"
        body = f"{r.choice('12')}{born}{r.randrange(1, 95):02d}{d(6)}"
        return f"{body}{97 - int(body) % 97:02d}"

    def _spanish(self) -> str:
        number = self._digits(8)
        return number + "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23]

    def _dutch(self) -> str:
        while True:
            number = self._digits(9)
            total = sum(
                int(c) * w for c, w in zip(number, (9, 8, 7, 6, 5, 4, 3, 2, -1), strict=True)
            )
            if total % 11 == 0 and number[0] != "0":
                spaced = f"{number[:3]} {number[3:6]} {number[6:]}"
                return self._random.choice([number, spaced])

    def _polish(self) -> str:
        r = self._random
        body = f"{r.randrange(100):02d}{r.randrange(1, 13):02d}{r.randrange(1, 29):02d}"
        body += self._digits(4)
        weights = (1, 3, 7, 9, 1, 3, 7, 9, 1, 3)
        return f"{body}{-sum(int(c) * w for c, w in zip(body, weights, strict=True)) % 10}"

    def _brazilian(self) -> str:
        body = self._digits(9)
        for _ in range(2):
            top = len(body) + 1
            rest = sum(int(c) * w for c, w in zip(body, range(top, 1, -1), strict=True)) % 11
            body += str(0 if rest < 2 else 11 - rest)
        dotted = f"{body[:3]}.{body[3:6]}.{body[6:9]}-{body[9:]}"
        return self._random.choice([body, dotted])

    def _swedish(self) -> str:
        r = self._random
        body = f"{r.randrange(100):02d}{r.randrange(1, 13):02d}{r.randrange(1, 29):02d}"
        body += self._digits(3)
        doubled = "".join(str(int(c) * (2 - n % 2)) for n, c in enumerate(body))
        return f"{body[:6]}-{body[6:]}{-sum(map(int, doubled)) % 10}"

    def _nhs(self) -> str:
        while True:
            body = self._digits(9)
            check = 11 - sum(int(c) * w for c, w in zip(body, range(10, 1, -1), strict=True)) % 11
            if check != 10:
                whole = f"{body}{check % 11}"
                return f"{whole[:3]} {whole[3:6]} {whole[6:]}"

    def _german(self) -> str:
        digits = self._random.sample(string.digits, 10)
        digits[self._random.randrange(1, 10)] = digits[0]
        body = "".join(digits)
        if body[0] == "0" or len(set(body)) != 9:
            return self._german()
        rest = 10
        for c in body:
            rest = ((int(c) + rest) % 10 or 10) * 2 % 11
        whole = f"{body}{(11 - rest) % 10}"
        return self._random.choice([whole, f"{whole[:2]} {whole[2:5]} {whole[5:8]} {whole[8:]}"])

    def _italian(self) -> str:
        pick = self._random.choice
        born = self._digits(2) + pick("ABCDEHLMPRST") + f"{self._random.randrange(1, 72):02d}"
        body = self._letters(6, "BCDFGLMNPRSTV") + born + pick("ABCDEFGHL") + self._digits(3)
        odd = dict(zip(string.digits, (1, 0, 5, 7, 9, 13, 15, 17, 19, 21), strict=True)) | dict(
            zip(string.ascii_uppercase,
                (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22,
                 25, 24, 23), strict=True)
        )  # fmt: skip
        even = dict(zip(string.digits, range(10), strict=True)) | dict(
            zip(string.ascii_uppercase, range(26), strict=True)
        )
        total = sum((even if place % 2 else odd)[c] for place, c in enumerate(body))
        return body + string.ascii_uppercase[total % 26]

    def _birth(self, language: str) -> str:
        day, month = self._random.randrange(1, 29), self._random.randrange(1, 13)
        year = self._random.randrange(1940, 2008)
        joint = {"es": " de ", "pt": " de ", "de": ". "}.get(language, " ")
        said = f"{day}{joint}{more.MONTHS[language].split()[month - 1]}"
        said += f"{' de' if joint == ' de ' else ''} {year}"
        return self._random.choice(
            [
                f"{day:02d}/{month:02d}/{year}",
                f"{day}.{month}.{year}",
                f"{year}-{month:02d}-{day:02d}",
                said,
            ]
        )

    def _passport(self) -> str:
        return self._random.choice(
            [self._digits(9), f"C{self._digits(8)}", f"{self._digits(2)}AB{self._digits(5)}"]
        )

    def _licence(self) -> str:
        return self._random.choice(
            [f"D{self._digits(7)}", f"B{self._digits(3)}ABC{self._digits(4)}", self._digits(10)]
        )

    def _person(self) -> str:
        return f"{self._random.choice(FIRST)} {self._random.choice(LAST)}"

    def _address(self) -> str:
        number = self._random.randrange(1, 990)
        street = f"{number} {self._random.choice(STREETS)} {self._random.choice(KINDS_OF_STREET)}"
        town = self._random.choice(TOWNS)
        flat, d = f"{street}, Apt {self._digits(1)}B", self._digits
        return self._random.choice(
            [
                street,
                f"{street}, {town}",
                f"{flat}, {town}, OR 9{d(4)}",
                f"{street}, {town} BS{d(1)} {d(1)}QT",
                f"PO Box {number}, {town}",
            ]
        )

    def _fillers(self) -> dict[str, str]:
        r, d = self._random, self._digits
        day, month = r.randrange(1, 29), r.randrange(1, 10)
        return {
            "n": str(r.randrange(10, 999)),
            "m": str(r.randrange(2, 60)),
            "k": str(r.randrange(100, 999)),
            "o": r.choice([f"A-{d(6)}", d(8), f"{d(4)}-{d(4)}"]),
            "t": f"{r.randrange(24):02d}:{r.randrange(60):02d}",
            "y": str(r.randrange(1990, 2030)),
            "d": r.choice([f"{day}.{month}.2026", f"2026-0{month}-1{d(1)}", f"0{month}/07/2026"]),
            "v": f"{r.randrange(9)}.{r.randrange(20)}.{r.randrange(9)}.{r.randrange(999)}",
            "h": self._letters(40, "0123456789abcdef"),
            "a": str(r.randrange(10)),
            "b": d(5),
            "c": d(3),
            "f": f"{self._letters(2, string.ascii_uppercase)}{d(3)}",
        }
