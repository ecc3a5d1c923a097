"""Planted secrets, the house they are planted in, and where they are looked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..parts import Reply
from .house import House, opened
from .tap import POOL, Tap, spellings, tap

SECRETS = {
    "EMAIL": "jane.roe@harbour.example",
    "PHONE": "+44 20 7946 0958",
    "IBAN": "DE89 3704 0044 0532 0130 00",
    "CARD": "4111 1111 1111 1111",
    "KEY": "sk-proj-Ab3dE5fG7hI9jK1lM3nO5pQ7rS9tU1vW",
    "URL": "https://root:hunter22x@db.harbour.example/x",
    "IP": "203.0.113.77",
    "ID": "219-09-9999",
    "BIRTH": "14 March 1985",
    "PASSPORT": "X4728193B",
    "LICENCE": "MORGA657054SM9IJ",
    "ADDRESS": "221 Baker Street",
    "TERM": "Project Halcyon",
    "WORD": "Überläufer",
}
EMAIL, CARD = SECRETS["EMAIL"], SECRETS["CARD"]
TEXT = (
    "Mail {EMAIL}, phone {PHONE}, IBAN {IBAN}, card {CARD}, key {KEY}, see {URL} from {IP}; "
    "SSN {ID}, born on {BIRTH}, passport number {PASSPORT}, driving licence number {LICENCE}, "
    "lives at {ADDRESS} and works on {TERM} with {WORD}."
).format(**SECRETS)
WORD = "zanzibar-quokka"
"""In texts that are restricted: nothing finds it."""
ANYWHERE = (*SECRETS.values(), WORD, "hunter22x", "jane.roe", CARD.replace(" ", ""))
PUBLIC = ("plain", "large", "loud", "inventive", "bytewise", "dripping", "labels", "refusing")
RESTRICTED = {"x_emafusion_class": "restricted"}
HARD = (
    "Prove that the square root of two is irrational, then compare three proofs of it in detail "
    f"and say which of them {EMAIL} would like best, and why."
)
SECRET = {"TAINT_SECRET": "what nobody knows but we"}


def settings(public: Tap, private: Tap, more: str = "", names: tuple[str, ...] = PUBLIC) -> str:
    """Two suppliers: one that must hear nothing, and one of ours; `more` is of ``[protect]``."""
    open_models = "".join(_model(name, "open", price) for price, name in enumerate(names, 1))
    ours = _model("ours", "own", 3, 'visibility = "private"\n')
    vectors = "".join(
        f'[models.{name}]\nprovider = "{supplier}"\nusd_per_mtok_in = 0.1\nusd_per_mtok_out = 0\n'
        f'capabilities = ["embeddings"]\n{seen}'
        for name, supplier, seen in (
            ("vectors", "open", ""),
            ("our-vectors", "own", 'visibility = "private"\n'),
        )
    )
    return (
        f'[providers.open]\ntype = "openai"\nbase_url = "{public.url}/v1"\n'
        f'[providers.own]\ntype = "openai"\nbase_url = "{private.url}/v1"\n'
        f"{open_models}{ours}{vectors}"
        "[policy]\nmax_cost_usd = 0.5\n"
        '[record]\npath = "FOLDER/record.db"\n'
        '[gateway]\naccounts = "FOLDER/accounts.db"\nworkers = 2\n[cache]\nanswers = "similar"\n'
        f'[telemetry]\nlog = "json"\notlp = "{private.url}"\ncontent = true\n'
        f'[protect]\nsecret = "env:TAINT_SECRET"\nterms = ["Project Halcyon", "Überläufer"]\n{more}'
    )


def _model(name: str, supplier: str, price: float, more: str = "") -> str:
    price = POOL.get(name, price)
    return (
        f'[models."{name}"]\nprovider = "{supplier}"\nupstream = "{name}"\n'
        'capabilities = ["tools", "json", "vision"]\n'
        f"usd_per_mtok_in = {price}\nusd_per_mtok_out = {4 * price}\ncontext_window = 32768\n"
        f"max_output = 500\n{more}"
    )


@dataclass(frozen=True)
class Place:
    """A house whose files are in one folder, a key to it, and both its suppliers."""

    house: House
    public: Tap
    private: Tap
    key: str

    def ask(self, model: str = "emafusion", **fields: Any) -> Reply:
        """As :meth:`House.ask`."""
        return self.house.ask(self.key, model, **fields)

    def clean(self) -> None:
        """Nobody has heard, and nothing holds, what it must not."""
        assert self.public.has(*ANYWHERE) == []
        assert held(self.house.folder, self.private) == []


@contextmanager
def placed(folder: Path, told: str, taps: tuple[Tap, Tap], **more: Any) -> Iterator[Place]:
    """A house with the settings `told`; `more` as :class:`House` takes it.

    Once it has stopped, its files and the traces that it sent last are looked through, too.
    """
    public, private = taps
    with opened(folder, told, TMPDIR=str(folder), **SECRET, **more) as house:
        found = Place(house, public, private, house.key("all"))
        yield found
    found.clean()


@contextmanager
def tapped() -> Iterator[tuple[Tap, Tap]]:
    """A supplier that must hear nothing, and one of ours."""
    with tap() as public, tap() as private:
        yield public, private


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:  # a server at work deletes files, and what is gone holds nothing
        return b""


def held(folder: Path, private: Tap) -> list[str]:
    """Which of all that is secret any file, log or trace holds, but for the settings' own text."""
    told = _bytes(folder / "emafusion.toml")
    files = (_bytes(one) for one in folder.rglob("*") if one.is_file())
    everything = b"\n".join([*(one for one in files if one != told), *private.traces])
    return [one for one in ANYWHERE if any(form in everything for form in spellings(one))]


def said(reply: Reply) -> str:
    """The text of a whole answer."""
    assert reply.status == 200, reply.content
    return str(reply.json["choices"][0]["message"]["content"])


def streamed(reply: Reply) -> str:
    """The text of a stream of chat chunks."""
    assert reply.status == 200, reply.content
    pieces = [one["choices"][0]["delta"] for one in reply.events[:-1] if one["choices"]]
    return "".join(one.get("content") or "" for one in pieces)


def told(reply: Reply, stream: bool) -> str:
    """The text of an answer, asked for as a stream or whole."""
    return streamed(reply) if stream else said(reply)
