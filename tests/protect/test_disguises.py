"""What is disguised is read as it would be without, and found where it stands."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emafusion.protect.entities import apart
from emafusion.protect.recognisers.plain import plain
from emafusion.protect.structured import Structured
from growth import LINEAR, growth

FOUND = Structured().found
CARD = "4111 1111 1111 1111"
UNSEEN = "\u00ad\u034f\u061c\u115f\u180e\u200b\u200d\u2060\u2066\u2069\u3164\ufe0f\ufeff\U000e0030"
ZEROS = (0x660, 0x6F0, 0x966, 0x9E6, 0xBE6, 0xE50, 0x1040, 0xFF10, 0x1D7CE, 0x1D7F6, 0x104A0)


PIECES = ["a", "7", " ", r"\n", r"\\u0041", "%41", "&amp;", "\u200b", "e\u0301", "ä", "\uff11"]


def said(text: str) -> list[str]:
    return [text[one.start : one.end] for one in FOUND(text)]


def drawn(zero: int) -> str:
    return "".join(chr(zero + int(c)) if c.isdigit() else c for c in CARD)


@pytest.mark.parametrize("zero", ZEROS)
def test_digits_of_any_script_are_digits(zero: int) -> None:
    assert said(f"card {drawn(zero)}!") == [drawn(zero)]


@pytest.mark.parametrize("c", UNSEEN)
def test_unseen_characters_hide_nothing(c: str) -> None:
    assert said(f"x {c.join('jane@x.example')} y") == [c.join("jane@x.example")]


@pytest.mark.parametrize(
    "mark", ["\u2014", "\u00b7", "\u2011", "\u2800", "  ", "\t", ".", "\n", "_"]
)
def test_groups_may_be_parted_by_anything(mark: str) -> None:
    assert said(f"card {CARD.replace(' ', mark)}, thanks") == [CARD.replace(" ", mark)]


@pytest.mark.parametrize("newline", ["\r\n", r"\r\n", r"\\r\\n", "%0D%0A", "&#13;&#10;", "\r"])
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("card 4111 1111{}1111 1111 ok", "4111 1111{}1111 1111"),
        ("IBAN DE89 3704{}0044 0532 0130 00", "DE89 3704{}0044 0532 0130 00"),
        ("phone +44 20{}7946 0958", "+44 20{}7946 0958"),
        ("born on 14{}March 1985", "14{}March 1985"),
        ("the password:{}Zx81xx{}thanks", "Zx81xx"),
    ],
)
def test_lines_may_end_in_two_characters(text: str, value: str, newline: str) -> None:
    text = text.replace("{}", newline)
    assert [text[one.start : one.end] for one in apart(FOUND(text))] == [
        value.replace("{}", newline)
    ]


@pytest.mark.parametrize(
    "mail",
    [
        "jane%40x.example",
        "jane&#64;x.example",
        "jane&#x40;x.example",
        "jane&commat;x.example",
        r"jane\u0040x.example",
        r"jane\\u0040x.example",
        r"jane\x40x.example",
        "jane%2540x.example",
        "jane&amp;#64;x.example",
        "jane\ufe6bx.example",
        "jane@x\u3002example",
        "jane\uff20x\uff0eexample",
        "ju\u0308rgen@x.example",
        "J%C3%BCrgen@x.example",
        "\U0001d423ane@x.example",
        "j\u0430ne@x.example",
        r"jane\_roe@x.example",
        r"j\ud835\udc1ane@x.example",
        "jane [at] x [dot] example",
        "info(at)firma.example",
        "jane arroba ejemplo.example",
        "jean [arobase] x [point] example",
        '"jane roe"@x.example',
    ],
)
def test_a_mail_address_is_seen_through_its_codes(mail: str) -> None:
    assert said(f"to {mail}, please") == [mail]


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (r'{"password": "Aq4\"Aq4q!Pw"}', r"Aq4\"Aq4q!Pw"),
        (r"password='Tr0\'ub4dor9'", r"Tr0\'ub4dor9"),
        (r'"{\"password\": \"Tr0ub4dor9\", \"a\": 1}"', "Tr0ub4dor9"),
        (r'"{\"password\": \"Aq4\\\"Aq4q!Pw\"}"', r"Aq4\\\"Aq4q!Pw"),
        ("https://h/?password=Tr0ub%2Cb4dor9&x=1", "Tr0ub%2Cb4dor9"),
    ],
)
def test_an_escaped_mark_does_not_end_a_secret(text: str, secret: str) -> None:
    assert said(text) == [secret]


def test_look_alike_letters_of_a_key_are_plain() -> None:
    key = "\u0410KIAIOSFODNN7EXAMPLE"
    assert said(f"key {key}") == [key]
    assert plain("Привет, мир")[0] == "Привет, мир"


def test_plain_text_stays_the_text_it_is() -> None:
    text = "Nothing here, 7 of 9."
    assert plain(text) == (text, None)
    assert plain("C:\\users 100% of R&D") == ("C:\\users 100% of R&D", None)
    assert plain("Übermut tut gut")[0] == "Übermut tut gut"


@given(st.lists(st.sampled_from([*PIECES, "\\", "%", "&", ";"]), max_size=12))
def test_every_character_has_its_place(pieces: list[str]) -> None:
    text = "".join(pieces)
    said, back = plain(text)
    if back is None:
        assert len(said) == len(text)
        return
    spans = [back(n, n + 1) for n in range(len(said))]
    assert all(0 <= start < end <= len(text) for start, end in spans)
    assert all(one[1] <= other[0] for one, other in pairwise(spans))
    assert all(c == text[start] for c, (start, end) in zip(said, spans, strict=True)
               if end - start == 1 and c != "1")  # fmt: skip


@pytest.mark.parametrize(
    "piece", [r"\n", "\\", "%", "%41", "&#64;", "&", "&amp;", "e\u0301", "\u200b", "\u0410b"]
)
def test_undoing_takes_time_linear_in_the_text(piece: str) -> None:
    quarter, whole = (piece * (size // len(piece)) for size in (25_000, 100_000))
    assert growth(plain, quarter, whole) < LINEAR
