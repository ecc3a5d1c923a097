"""What is a person's is found, by caller, by placeholder and by value."""

from __future__ import annotations

import pytest

from emafusion.protect.erasure import Subject
from emafusion.protect.placeholders import Mint
from emafusion.protect.vault import Vault

MINT = Mint(b"a secret of sixteen bytes")
MAIL = "jane.roe@harbour.example"


def test_a_subject_is_found_by_what_stands_for_its_values() -> None:
    subject = Subject(MINT, ["team:a", "team:b"], values=[MAIL, "Jane Roe"])
    mine, other = Vault(MINT, "team:b"), Vault(MINT, "team:c")
    for value in (MAIL, MAIL.title()):
        assert subject.concerns(f'{{"prompt": "to {mine.put("EMAIL", value)}"}}')
        assert not subject.concerns(f"to {other.put('EMAIL', value)}")
    assert subject.concerns(f"{mine.put('PERSON', 'jane  roe')} came")
    assert not subject.concerns(mine.put("EMAIL", "john@harbour.example"))


def test_a_subject_is_found_by_what_was_written_before() -> None:
    subject = Subject(MINT, ["s"], callers=["team:a/7"], values=[MAIL])
    assert subject.concerns("nothing", f"mail {MAIL.upper()}.")
    assert not subject.concerns(f"x{MAIL}")
    assert subject.concerns(caller="team:a/7")
    assert not subject.concerns(caller="team:a/70")
    assert not Subject(MINT, [], values=[]).concerns("anything")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (MAIL, "ＪＡＮＥ.roe@harbour.example"),
        (MAIL, "jane.\u200broe@harbour.example"),
        (MAIL, "https://x.example/?to=jane.roe%40harbour.example&a=1"),
        ("José Núñez", '{"name": "Jos\\u00e9  N\\u00fa\\u00f1ez"}'),
        ("José Núñez", "JOSE\u0301\nNÚÑEZ"),
        ("+49 30 901820", "call 49-(30)-90 18 20 now"),
        ("DE89370400440532013000", "de89 3704 0044 0532 0130 00"),
    ],
)
def test_a_value_is_found_in_every_spelling(value: str, text: str) -> None:
    assert Subject(None, ["s"], values=[value]).concerns(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (MAIL, f"x{MAIL}"),
        ("+49 30 901820", "49309018201"),
        ("Anna", "Annabel"),
        ("abc", "abc"),
        ("\u200b" * 9, "abc"),
        ("    ", "a b"),
        ("....", "...."),
    ],
)
def test_what_only_looks_like_a_value_is_another_persons(value: str, text: str) -> None:
    assert not Subject(None, ["s"], values=[value]).concerns(text)


def test_scopes_may_be_found_out_while_searching() -> None:
    subject = Subject(MINT, [], values=[MAIL])
    mine = Vault(MINT, "team:a").put("EMAIL", MAIL)
    assert not subject.concerns(mine)
    subject.widen("team:a")
    assert subject.concerns(mine)
