"""From what was found to a text without it: however much there is, and whatever says what it is."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any, cast

import pytest

from emafusion.protect import masking, texts
from emafusion.protect.bare import Numbers
from emafusion.protect.entities import Entity
from emafusion.protect.placeholders import SPELLINGS, Mint
from emafusion.protect.rules import Rules
from emafusion.protect.shield import Shield
from emafusion.protect.structured import Structured
from emafusion.protect.vault import Unmasking, Vault
from emafusion.types import Message, Request
from growth import LINEAR, growth

MINT = Mint(b"a secret of sixteen bytes")


class Finds:
    """A detector of what a pattern's group ``value`` has."""

    name = "pattern"

    def __init__(self, pattern: str, kind: str = "KEY") -> None:
        self._pattern = re.compile(pattern)
        self._kind = kind

    async def detect(self, text: str) -> Sequence[Entity]:
        found = (one.span("value") for one in self._pattern.finditer(text))
        return [Entity(kind=self._kind, start=start, end=end) for start, end in found]


def shield(*detectors: Finds, rules: Rules | None = None) -> Shield:
    return Shield(MINT, detectors, rules=rules or Rules())


def user(text: object) -> Message:
    return {"role": "user", "content": text}


def every(text: str, pattern: str) -> list[Entity]:
    found = (one.span() for one in re.finditer(pattern, text))
    return [Entity(kind="EMAIL", start=start, end=end) for start, end in found]


def looked_at(size: int) -> None:
    """Take out `size` values, and look at what stands between them."""
    vault = Vault(MINT, "s")
    for n in range(size):
        vault.put("EMAIL", f"u{n}@x.example")
    for n in range(size):
        assert vault.lookalikes(f"between the {n}th value and the next stand a few words") == []


def spread_out(size: int) -> None:
    """Look for each of `size` values wherever else it stands."""
    text = " ".join(f"u{n}@x.example" for n in range(size))
    found = every(text, r"\w+@x\.example")
    assert len(masking.spread([found], [text])[0]) == 2 * size


@pytest.mark.parametrize("work", [looked_at, spread_out])
def test_time_grows_with_the_text_and_not_with_its_square(work: Callable[[int], None]) -> None:
    assert growth(work, 1000, 4000) < LINEAR


def test_all_of_many_values_come_back() -> None:
    text = " ".join(f"u{n}@x.example" for n in range(4000))
    vault = Vault(MINT, "s")
    said = masking.masked([text], [every(text, r"\w+@x\.example")], vault)[text]
    assert "@" not in said
    assert vault.unmask(said) == text


def test_a_value_is_found_elsewhere_however_many_there_are() -> None:
    text = " ".join(f"u{n}@x.example" for n in range(600)) + " and code AB-12"
    entities = [*every(text, r"\w+@x\.example"), *every(text, r"AB-12")]
    again = "AB-12! (AB-12) but not AB-123, xAB-12 or AB-12_"
    _, found = masking.spread([entities, []], [text, again])
    assert [(one.start, one.end) for one in found] == [(0, 5), (8, 13)]


@pytest.mark.parametrize("value", ["+44 20", "(a) b", "a", "abc", "-ab-", "«ab»", "a_b c"])
def test_a_value_stands_elsewhere_as_words_of_its_own(value: str) -> None:
    first = f"<{value}>"
    entity = Entity(kind="ID", start=1, end=len(value) + 1)
    again = f"x {value} y{value} {value}z {value}"
    _, found = masking.spread([[entity], []], [first, again])
    stands = [one.start() for one in re.finditer(rf"(?<!\w){re.escape(value)}(?!\w)", again)]
    assert [one.start for one in found] == (stands if len(value) >= masking.LEAST else [])


async def test_a_value_may_be_spelt_in_any_number_of_ways() -> None:
    spellings = [f"{bin(n)[2:]:>08}".replace("1", "A").replace("0", "a") for n in range(40)]
    found = await shield(Finds(r"(?P<value>[aA]{8})", "EMAIL")).protect(
        Request(id="d", messages=tuple(map(user, spellings)))
    )
    said = [str(message["content"]) for message in found.request.messages]
    assert all(text.startswith("[EMAIL_") for text in said)
    back = [found.vault.unmask(text) for text in said]
    assert back[:SPELLINGS] == spellings[:SPELLINGS]
    assert {text.lower() for text in back} == {"aaaaaaaa"}


@pytest.mark.parametrize(
    "given",
    [
        {"password": "blue sky"},
        {"login": {"password": ["blue sky"]}},
        {"note": "blue sky", "password": "blue sky"},
    ],
)
async def test_an_argument_is_read_with_its_name(given: object) -> None:
    arguments = json.dumps(given)
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
    asked = ({"role": "assistant", "content": None, "tool_calls": [call]}, user("What sky?"))
    found = await shield(Finds(r"password: (?P<value>.*)")).protect(Request(id="d", messages=asked))
    said = json.dumps(found.request.messages)
    assert "blue" not in said
    assert "What sky?" in said
    assert "password" in said
    assert found.findings.masked == {"KEY": 1}
    calls = cast(list[dict[str, dict[str, str]]], found.request.messages[0]["tool_calls"])
    returned = found.vault.unmask(calls[0]["function"]["arguments"], in_json=True)
    assert json.loads(returned) == given


def calling(given: object) -> Message:
    function = {"name": "f", "arguments": json.dumps(given)}
    call = {"id": "c", "type": "function", "function": function}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


@pytest.mark.parametrize(
    "given",
    [
        {"password": {"value": "Tr0ub4dor"}},
        {"password": [{"text": {"string": "Tr0ub4dor"}}]},
        [{"name": "password", "value": "Tr0ub4dor"}],
        {"Key": "DB_PASSWORD", "Value": "Tr0ub4dor"},
        {"env": {"label": "password", "type": "x", "val": ["Tr0ub4dor"]}},
        {"passwords": ["a1b2c3d4", "Tr0ub4dor"]},
        ["mysql", "-u", "root", "-pTr0ub4dor"],
        ["sshpass", "-p", "Tr0ub4dor"],
        ["tool", "--verbose", "--password", "Tr0ub4dor"],
        ["curl", "-u", "jane:Tr0ub4dor"],
        {"password": {"current": "0ldTr0ub4", "new": "Tr0ub4dor"}},
        {"passwords": {"db": "Tr0ub4dor"}},
        {"secret": {"token": "Tr0ub4dor"}},
        {"type": "password", "value": "Tr0ub4dor"},
        {"ref": "e12", "type": "x", "element": "Password field", "text": "Tr0ub4dor"},
    ],
)
async def test_what_stands_beside_a_value_says_what_it_is(given: object) -> None:
    asked = Request(id="d", messages=(calling(given),))
    found = await Shield(MINT, [Structured()], rules=Rules()).protect(asked)
    said = found.request.messages[0]["tool_calls"]
    assert "Tr0ub4dor" not in json.dumps(said)
    assert json.dumps(said).count("[KEY_") == found.findings.masked["KEY"]
    calls = cast(list[dict[str, dict[str, str]]], said)
    back = found.vault.unmask(calls[0]["function"]["arguments"], in_json=True)
    assert json.loads(back) == given


@pytest.mark.parametrize(
    "given",
    [
        {"password": {"minimum_len": 8, "placeholder": "Choose", "required_1": True}},
        {"secrets": {"provider1": {"value": "weekly"}}},
        {"address": {"city": "Leeds"}, "token": {"type": "bearer"}, "phone": {"type": "mobile"}},
        {"type": "phone", "created": 1700000000, "value": "none"},
        {"max_tokens": 200000, "timeout_ms": 30000, "id": 123456, "zoom": 10000},
        {"name": "region", "value": "eu-west-1"},
        {"phone": {"verified_at": 1700000000, "attempts": 12345}},
        {"secret": {"namespace": "prod-2"}, "passwords": {"file": "src/auth2.py"}},
        {"secrets": [{"path": "vault/kv2/db", "version": "v12"}]},
        {"title": "Password reset", "id": "PROJ-1234"},
        {"title": "Phone support", "number": 10012345},
        {"kind": "Secret", "id": "a1-b2-c3", "data": {"crt": "LS0tLS1CRUdJ2"}},
        {"schema": {"properties": {"password": {"pattern": "^[a-z0-9!]{8,}$"}}}},
        {"ids": list(range(100000, 100100)), "points": [[10000, 20000]] * 40},
        ["ls", "-l", "src/x1"],
    ],
)
async def test_names_of_fields_and_other_neighbours_stay(given: object) -> None:
    asked = Request(id="d", messages=(calling(given),))
    found = await Shield(MINT, [Structured()], rules=Rules()).protect(asked)
    assert found.request.messages == asked.messages


LONG = "aB3dE6gH9jK2mN5pQ8rS1tU4vW7xY0z" * 20


@pytest.mark.parametrize(
    ("given", "secret"),
    [
        ({"phone": {"number": "4155552671"}}, "4155552671"),
        ({"phone": {"home": "20123456"}}, "20123456"),
        ({"passport": {"number": "531234567", "country": "GB"}}, "531234567"),
        ({"ssn": {"number": "219099999"}}, "219099999"),
        ({"driver_license": {"number": "D1234567"}}, "D1234567"),
        ({"birth": {"date": "1985-03-14"}}, "1985-03-14"),
        ({"medicare": {"id": "1EG4-TE5-MK73"}}, "1EG4"),
        ({"contacts": [{"type": "phone", "value": "20123456"}]}, "20123456"),
        ({"telecom": [{"system": "phone", "value": "20123456", "use": "home"}]}, "20123456"),
        ({"identifier": [{"type": {"text": "SSN"}, "value": "219099999"}]}, "219099999"),
        ({"document": {"type": "passport", "number": "531234567"}}, "531234567"),
        ({"phoneNumbers": [{"type": "mobile", "number": "4155552671"}]}, "4155552671"),
        ({"customer": {"phone": {"main": {"value": 20123456}}}}, "20123456"),
        ({"phones": {"reception": 20123456}}, "20123456"),
        ({"phone": {"label": "Reception", "value": "20123456"}}, "20123456"),
        ({"name": "API_TOKEN", "value": LONG}, LONG),
        ({"api_key": {"value": LONG}}, LONG),
        ({"secrets": {"text": LONG}}, LONG),
        ({"phone": list(range(20123456, 20123556))}, "20123555"),
        ({"phone": 20123456}, "20123456"),
        ({"dob": 19870314}, "19870314"),
        ({"pin_code": 471147}, "471147"),
        ({"passport": 1234567}, "1234567"),
    ],
)
async def test_names_farther_out_say_what_a_value_is(given: object, secret: str) -> None:
    asked = Request(id="d", messages=(calling(given),))
    found = await Shield(MINT, [Structured()], rules=Rules()).protect(asked)
    said: Any = found.request.messages[0]["tool_calls"]
    assert secret not in json.dumps(said)
    back = found.vault.unmask(said[0]["function"]["arguments"], in_json=True)
    assert json.loads(back) == given


def named_within(size: int) -> None:
    """Read a call's arguments of `size` fields within others."""
    given = {"phone": [{"type": "x", "number": f"{n}", "text": "words " * 9} for n in range(size)]}
    texts.strings(Request(id="d", messages=(calling(given),)))


def test_names_farther_out_take_time_in_proportion() -> None:
    assert growth(named_within, 500, 2000) < LINEAR


SPELT = ["".join(cs) for cs in product(*zip("identifier", "IDENTIFIER", strict=True))]


def neutrally_named(size: int) -> None:
    """Read a call's arguments of `size` fields, all of neutral names."""
    texts.strings(Request(id="d", messages=(calling(dict.fromkeys(SPELT[:size], "")),)))


def test_neighbours_take_time_in_proportion() -> None:
    assert growth(neutrally_named, 256, 1024) < LINEAR


def test_the_numbers_of_a_long_list_are_few_texts() -> None:
    given = {"a": {"series": {"values": list(range(10000, 30000))}}}
    found = texts.texts(Request(id="d", messages=(calling(given),)))
    read, _ = masking.readings(found)
    assert sum(map(len, read)) < 3 * len(json.dumps(given))


def over(text: str, *_: object) -> str:
    """A text with a placeholder over some of its numbers, and what divides them."""
    return text.replace("20001, 20002", "[X]")


def test_what_goes_over_numbers_of_a_list_is_taken_out() -> None:
    asked = Request(id="d", messages=(calling([*range(20000, 20100), -7, "20001"]),))
    said: Any = texts.changed(asked, over).messages[0]["tool_calls"]
    told = json.loads(said[0]["function"]["arguments"])
    assert "20001, 20002" not in str(told)
    assert "[X]" in told[0]
    assert told[1:] == [""] * 99 + [-7, "20001"]


NUMBERS = (
    '{"ssn": 219099999, "phone":4155552671 , "n": 5}',
    '[{"phone": -4155552671, "card": 4111111111111111.0, "to": "4111111111111111"}]',
    '["4111111111111111", 4111111111111111, null]',
)


def within(text: str) -> tuple[str, ...]:
    """`text` of JSON as it stands in others."""
    return text, f"See:\n```json\n{text}\n```", json.dumps({"body": text}), f"{text}\n{text}\n"


@pytest.mark.parametrize("text", [one for text in NUMBERS[:2] for one in within(text)])
async def test_json_stays_json_where_a_number_is_a_value(text: str) -> None:
    asked = Request(id="d", messages=(user(text), user("4111111111111111 again")))
    found = await Shield(MINT, [Structured()], rules=Rules()).protect(asked)
    said = str(found.request.messages[0]["content"])
    assert "4111" not in said
    assert "415555" not in said
    for line in said.splitlines():
        if line[:1] in ("{", "["):
            told = json.loads(line)
            json.loads(told["body"] if line.startswith('{"body') else line)
    assert found.vault.unmask(said) == text
    assert found.vault.unmask(str(found.request.messages[1]["content"])) == "4111111111111111 again"
    for cut in range(len(said) + 1):
        stream = Unmasking(found.vault)
        assert stream.feed(said[:cut]) + stream.feed(said[cut:]) + stream.end() == text


@pytest.mark.parametrize("deep", [0, 1, 2, 3])
async def test_a_list_of_numbers_and_texts_stays_one(deep: int) -> None:
    text = '["4111111111111111", 4111111111111111, "ü \\" [", {"n": [4111111111111111]}]'
    for _ in range(deep):
        text = json.dumps({"result": text})
    asked = Request(id="d", messages=(user(text),))
    found = await Shield(MINT, [Structured()], rules=Rules()).protect(asked)
    said = str(found.request.messages[0]["content"])
    read = said
    for _ in range(deep):
        read = json.loads(read)["result"]
    assert len(json.loads(read)) == 4
    assert "4111" not in said
    assert found.vault.unmask(said) == text


def numbered(size: int) -> None:
    """Look for numbers in `size` beginnings of some."""
    for piece in ('"', "\\", '\\"', '"a": [', '"a": 1', '"a" ', '"a": [1,'):
        Numbers(piece * size)
        Numbers(f'{{"a": "{piece * size}')


def test_numbers_are_found_in_linear_time() -> None:
    assert growth(numbered, 4000, 16000) < LINEAR


async def test_a_number_is_read_with_its_name_and_a_name_is_cut_off() -> None:
    arguments = json.dumps({"n": 4155552671, "phone": 4155552671})
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
    asked = ({"role": "assistant", "content": None, "tool_calls": [call]},)
    found = await shield(Finds(r"(?P<value>phone: \d+)", "PHONE")).protect(
        Request(id="d", messages=asked)
    )
    said = json.dumps(found.request.messages)
    assert "4155552671" not in said
    assert "phone" in said


async def test_what_was_kept_is_read_anew_but_for_its_placeholders() -> None:
    detector = Finds(r"(?P<value>\S+@x\.example|\[EMAIL_\w+\])", "EMAIL")
    before = await shield(detector).protect(Request(id="d", messages=(user("I am a@x.example"),)))
    turns = (*before.request.messages, {"role": "assistant", "content": "Ask b@x.example, too"})
    request = Request(id="e", messages=(*turns, user("Who is a@x.example?")))
    found = await shield(detector).protect(request, earlier=turns)
    assert found.request.messages[0] == before.request.messages[0]
    assert "b@x.example" not in str(found.request.messages[1])
    assert found.findings.masked == {"EMAIL": 2}
    assert found.vault.unmask(str(found.request.messages[0]["content"])) == "I am a@x.example"
