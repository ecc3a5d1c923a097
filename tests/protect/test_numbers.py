"""Numbers of faults, measures, ranges and versions are nobody's; what is dialled is found."""

from __future__ import annotations

import json
import random

import pytest

from emafusion.protect.masking import BETWEEN
from emafusion.protect.placeholders import Mint
from emafusion.protect.rules import Rules
from emafusion.protect.shield import Shield
from emafusion.protect.structured import Structured
from emafusion.types import Request

FOUND = Structured().found


def found(text: str) -> set[tuple[str, str]]:
    return {(one.kind, text[one.start : one.end]) for one in FOUND(text)}


@pytest.mark.parametrize(
    "text",
    [
        "What is CVE-2024-3094? And CVE-2014-0160, CVE-2021-3156?",
        "loss 0.003889242101538 after 10 epochs",
        "-0.00990809825429995",
        "$0.0012345678 and .0012345678",
        "lr=1e-3 0.001000000000",
        "id 0012345678",
        "JIRA-3024-1187, Issue 2019-1348, case no. 2022-3345",
        "bytes 4096-8191",
        "ports 3000-3999, 8000-8999",
        "rows 2500-3000 of 5000-9999",
        "2019-1348",
        "MS 2017-0144, CVE-2012-3456",
        "years 2010-2020, 2020-2021",
        "x = 1000 + 442079460958",
        "-  1\n+ 1732290123,\n+ 20079 46095",
    ],
)
def test_numbers_that_count_or_name_a_thing_are_no_telephones(text: str) -> None:
    assert FOUND(text) == []


def test_small_measures_stay_numbers() -> None:
    drawn = random.Random(1)
    assert FOUND(json.dumps([drawn.gauss(0, 0.01) for _ in range(2000)])) == []


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("It is 0044 20 7946 0958.", "0044 20 7946 0958"),
        ("00 1 415 555 2671", "00 1 415 555 2671"),
        ("see below.0044 20 7946 0958", "0044 20 7946 0958"),
        ("5551-2345", "5551-2345"),
        ("Hi\n+ 44 20 7946 0958", "+ 44 20 7946 0958"),
        (f"Hi{BETWEEN}+ 442079460958", "+ 442079460958"),
        ("tel: 2024-3094", "2024-3094"),
        ("Rio: 2012-3456", "2012-3456"),
        ("desk 2041-7788", "2041-7788"),
        ("0011 44 20 7946 0958", "0011 44 20 7946 0958"),
        ("Dial 0011 44 20 7946 0958", "0011 44 20 7946 0958"),
        ("Fax 0011-49-30-1234567", "0011-49-30-1234567"),
        ("0011442079460958", "0011442079460958"),
    ],
)
def test_what_is_dialled_is_found_all_the_same(text: str, value: str) -> None:
    assert ("PHONE", value) in found(text)


@pytest.mark.parametrize(
    "text",
    [
        'AssemblyVersion("1.2.3.4")',
        '<PackageReference Include="X" Version="4.3.1.2"/>',
        "numpy-1.2.3.4.tar.gz",
        "typing_extensions >= 3.10.0.0",
        "numpy>=1.2.3.4,<=1.3.0.0 and pip >= 23.1.0.2, gzip~=1.2.3.4",
        "gem 'rails', '~> 7.0.4.3'",
        "How do I bind uvicorn to 127.0.0.1:8000?",
    ],
)
def test_versions_and_the_own_machine_are_no_addresses(text: str) -> None:
    assert FOUND(text) == []


@pytest.mark.parametrize(
    "text",
    [
        'update("10.1.2.3")',
        "10.1.2.3.",
        "ip.addr == 10.1.2.3",
        "10.1.2.3.in-addr.arpa",
        "src_ip <= 10.1.2.3",
        "clientIp >= 10.1.2.3",
        "if addr >= 10.1.2.3: drop",
        "allow server >= 10.1.2.3",
        "from start >= 10.1.2.3",
        "~> 10.1.2.3",
        "acl src <= 10.1.2.3",
        "iplist >= 10.1.0.5 and <= 10.1.2.3",
    ],
)
def test_addresses_in_code_are(text: str) -> None:
    assert ("IP", "10.1.2.3") in found(text)


@pytest.mark.parametrize(
    "text",
    [
        "See RFC 7231 7.1.2",
        "https://www.rfc-editor.org/rfc/rfc9110#section-5.5-5",
        "/* jpeglib.h\n * Copyright (C) 1994-1996, Thomas G. Lane. */",
    ],
)
def test_standards_and_years_are_nobodys(text: str) -> None:
    assert FOUND(text) == []


def test_a_taxpayer_and_a_range_of_houses_are_somebodys() -> None:
    assert ("ID", "GODE561231GR8") in found("RFC: GODE561231GR8")
    assert ("ADDRESS", "1900-1910 Main Street, Denver") in found("at 1900-1910 Main Street, Denver")


def test_of_a_list_behind_a_word_every_number_is_found() -> None:
    text = '{"phone_numbers": [20123456, 4155552671, "+45 20123457"], "total": [20123458]}'
    assert found(text) == {
        ("PHONE", "20123456"),
        ("PHONE", "4155552671"),
        ("PHONE", "+45 20123457"),
    }
    assert found('{"phone": 20123456, "total": 20123458}') == {("PHONE", "20123456")}


@pytest.mark.parametrize(
    ("name", "number"),
    [("phone", 20123456), ("dob", 19870314), ("dni", 12345678), ("pin_code", 471147)],
)
async def test_short_numbers_are_read_with_their_names_in_arguments(name: str, number: int) -> None:
    shield = Shield(Mint(b"a secret of sixteen bytes"), [Structured()], rules=Rules())

    async def sent(key: str) -> str:
        function = {"name": "f", "arguments": json.dumps({key: number})}
        call = {"id": "c", "type": "function", "function": function}
        request = Request(id="d", messages=({"role": "assistant", "tool_calls": [call]},))
        return str((await shield.protect(request)).request.messages[0])

    assert str(number) not in await sent(name)
    assert str(number) in await sent("total")
