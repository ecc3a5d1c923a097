"""What is a person's is found, by caller, by placeholder and by value."""

from __future__ import annotations

import pytest

from emafusion.errors import ConfigError
from emafusion.protect.erasure import Subject
from emafusion.protect.placeholders import Mint, alike
from emafusion.protect.rules import Rules
from emafusion.protect.shield import Shield
from emafusion.protect.vault import Vault
from emafusion.types import Request

MINT = Mint(b"a secret of sixteen bytes")
MAIL = "jane.roe@harbour.example"


def test_a_subject_is_found_by_what_stands_for_its_values() -> None:
    subject = Subject([MINT], ["team:a", "team:b"], values=[MAIL, "Jane Roe"])
    mine, other = Vault(MINT, "team:b"), Vault(MINT, "team:c")
    for value in (MAIL, MAIL.title()):
        assert subject.concerns(f'{{"prompt": "to {mine.put("EMAIL", value)}"}}')
        assert not subject.concerns(f"to {other.put('EMAIL', value)}")
    assert subject.concerns(f"{mine.put('PERSON', 'jane  roe')} came")
    assert not subject.concerns(mine.put("EMAIL", "john@harbour.example"))


def test_a_subject_is_found_by_what_was_written_before() -> None:
    subject = Subject([MINT], ["s"], callers=["team:a/7"], values=[MAIL])
    assert subject.concerns("nothing", f"mail {MAIL.upper()}.")
    assert not subject.concerns(f"x{MAIL}")
    assert subject.concerns(caller="team:a/7")
    assert not subject.concerns(caller="team:a/70")
    assert not Subject([MINT], [], values=[]).concerns("anything")


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
        # Languages that write no blanks, and lines that break off anywhere.
        ("田中太郎", "私は田中太郎です。"),
        ("田中 太郎", "私は田中太\n郎です。"),
        ("李伟", "我叫李伟。"),
        ("李伟", "user李伟x"),
        ("김철수", "김철수는 왔다"),
        ("สมชาย", "ชื่อสมชายครับ"),
        # JSON within JSON, URLs, HTML, Markdown, names of files.
        (MAIL, '{"notes": "Contact:\\njane.roe@harbour.example\\n"}'),
        ("Jane Roe", '{"a": "Jane\\nRoe"}'),
        ("Jürgen Müller", '{"a": "{\\"b\\": \\"J\\\\u00fcrgen M\\\\u00fcller\\"}"}'),
        ("Jürgen Müller", "J&uuml;rgen&nbsp;M&uuml;ller"),
        ("Jürgen Müller", "J%C3%BCrgen%20M%C3%BCller"),
        ("Jane Roe", "https://x.example/?q=Jane+Roe&m=1"),
        ("Jane Roe", "letters/jane_roe.txt"),
        (MAIL, "jane.roe&#64;harbour.example"),
        (MAIL, "_jane.roe@harbour.example_ is hers"),
        ("nancy@x.example", "C:\\nancy@x.example"),
        ("jane+x%2@y.example", "jane+x%2@y.example"),
        # Other letters and digits.
        ("İbrahim Koç", "ibrahim koç"),
        ("Işık Yılmaz", "IŞIK YILMAZ"),
        ("Straße 12345", "STRASSE 12345"),
        ("O'Brien", "O\u2019Brien"),
        ("123-45-6789", "\u0661\u0662\u0663-\u0664\u0665-\u0666\u0667\u0668\u0669"),
        ("4111111111111111", "card4111111111111111"),
        ("4111111111111111", "4111_1111_1111_1111"),
        ("+44 7700 900123", "0044 7700 900123"),
        ("0044 7700 900123", "+44 (0)7700 900123"),
    ],
)
def test_a_value_is_found_in_every_spelling(value: str, text: str) -> None:
    assert Subject([], ["s"], values=[value]).concerns(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (MAIL, f"x{MAIL}"),
        ("+49 30 901820", "49309018201"),
        ("12345", "a12345b"),
        ("4111111111111111", "94111111111111111"),
        ("(0)30 901820", "30 901820"),
        ("Jane Roe", "Jane. Roe"),
        ("Anna", "Annabel"),
        ("Anna", "Аnnabel"),
        ("李", "李伟"),
        ("abc", "abc"),
        ("\u200b" * 9, "abc"),
        ("    ", "a b"),
        ("....", "...."),
    ],
)
def test_what_only_looks_like_a_value_is_another_persons(value: str, text: str) -> None:
    assert not Subject([], ["s"], values=[value]).concerns(text)


def test_scopes_may_be_found_out_while_searching() -> None:
    subject = Subject([MINT], [], values=[MAIL])
    mine = Vault(MINT, "team:a").put("EMAIL", MAIL)
    assert not subject.concerns(mine)
    subject.widen("team:a")
    assert subject.concerns(mine)


def test_what_stands_for_a_value_is_found_however_it_is_written() -> None:
    mine = Vault(MINT, "s").put("EMAIL", MAIL)
    subject = Subject([MINT], ["s"], values=[MAIL])
    for text in (mine.lower(), mine.strip("[]"), mine.replace("_", "\\_"), f"%5B{mine[1:-1]}%5D"):
        assert subject.concerns(f"to {text}.")


@pytest.mark.parametrize(
    ("value", "kind", "masked"),
    [
        ("+44 7700 900123", "PHONE", "0044 7700-900123"),
        ("0044 7700 900123", "PHONE", "+44 (0)7700 900123"),
        ("+44 (0)7700 900123", "PHONE", "+447700900123"),
        (MAIL, "EMAIL", "jane.roe\\u0040harbour.example"),
        (MAIL, "EMAIL", "jane.roe%40harbour.example"),
        (MAIL, "EMAIL", "Jane.Roe (at) harbour.example"),
        (MAIL, "EMAIL", "jane.roe [at] harbour [dot] example"),
        (MAIL, "EMAIL", "jane.roe at harbour dot example"),
        ("jane.roe(at)harbour.example", "EMAIL", MAIL),
        ("Jürgen Müller", "PERSON", "Ju\u0308rgen Mu\u0308ller"),
    ],
)
def test_a_value_is_found_that_was_masked_in_another_spelling(
    value: str, kind: str, masked: str
) -> None:
    subject = Subject([MINT], ["s"], values=[value])
    assert subject.concerns(Vault(MINT, "s").put(kind, masked))


@pytest.mark.parametrize("form", ["+44 (0)20 7946 0958", "+44(0)20-7946-0958"])
def test_what_is_dialled_at_home_makes_no_other_number(form: str) -> None:
    assert alike("PHONE", form) == alike("PHONE", "+442079460958")
    assert alike("PHONE", "(0)20 7946 0958") == "02079460958"


def test_without_a_secret_no_masked_text_is_called_anothers() -> None:
    text = f"to {Vault(MINT, 's').put('EMAIL', MAIL)}"
    with pytest.raises(ConfigError, match="--secret"):
        Subject([], ["s"], values=["John Doe"]).concerns(text)
    assert not Subject([], ["s"], values=["John Doe"]).concerns("to [1] and [EMAIL]")


async def test_what_is_recorded_says_which_secret_masked_it() -> None:
    request = Request(id="1", messages=({"role": "user", "content": "hello"},))
    found = await Shield(MINT, [], rules=Rules()).protect(request)
    assert found.findings.seal == MINT.seal != Mint(b"the secret that was once").seal
    assert found.request.protection == found.findings


def test_of_several_secrets_each_is_tried_and_others_are_told_of() -> None:
    before = Mint(b"the secret that was once")
    text = f"to {Vault(before, 's').put('EMAIL', MAIL)}"
    assert Subject([MINT, before], ["s"], values=[MAIL]).concerns(text)
    subject = Subject([MINT], ["s"], values=[MAIL])
    assert not subject.concerns(text)
    assert subject.veiled(before.seal, text)
    assert not subject.veiled(MINT.seal, text)
    assert not subject.veiled(before.seal, "nothing was masked")
    assert not subject.veiled("", text), "an earlier version did not say"
