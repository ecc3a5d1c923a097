"""Tables are read as such, and what developers write and send all day is no table and no number."""

from __future__ import annotations

import pytest

from emafusion.protect.masking import BETWEEN, joined, parted
from emafusion.protect.recognisers.plain import CODES, plain
from emafusion.protect.recognisers.reading import Reading
from emafusion.protect.recognisers.tables import tabled
from emafusion.protect.structured import Structured
from growth import LINEAR, growth

FOUND = Structured().found
APART = [
    "password",
    "sha256",
    "utf-8",
    "us-east-1",
    "9007199254740991",
    "user,password\n7,Tr0ub4dor",
    "8,oauth2",
    "phone",
    "4155552671",
    "<table><tr><th>password</th></tr>",
    "<tr><td>base64</td></tr>",
    "born",
    "2024-01-15",
    "insert into t (id, password) values",
    "(1, 'Hunter22x')",
]


def said(text: str) -> list[str]:
    return sorted({text[one.start : one.end] for one in FOUND(text)})


def test_texts_that_are_read_as_one_are_no_table_together() -> None:
    asked = parted(FOUND(joined(APART)), APART)
    alone = [FOUND(text) for text in APART]
    assert [[(one.kind, one.start, one.end) for one in some] for some in asked] == [
        [(one.kind, one.start, one.end) for one in some] for some in alone
    ]
    assert said(f"<tr><td>password</td>{BETWEEN}</tr><tr><td>base64</td></tr>") == []


@pytest.mark.parametrize(
    "text",
    [
        "line1,password,address1\nx,{},y",
        ",name,password\n0,Jane,{}",
        ",name,password\n,,{}",
        "#,password\n1,{}",
        "NAME      PASSWORD     AGE\njane      {}    3d",
        "| password |\n|---|\n| {} |",
        "+----+----------+\n| id | password |\n+----+----------+\n|  1 | {} |",
        r"id\tpassword\r\n7\tx\r\n8\t{}",
        "id,password\r\n7,x\r\n8,{}",
        "password\n{}",
        r'{{"text": "password:\n{}"}}',
        "<TR><TH>password</TH></TR><TR><TD>n/a</TD></TR><TR><TD>{}</TD></TR>",
    ],
)
def test_a_value_is_found_under_its_head(text: str) -> None:
    assert said(text.format("Tr0ub4dor9")) == ["Tr0ub4dor9"]


@pytest.mark.parametrize(
    "text",
    [
        "def f(\n    user,\n    password,\n    sha256,\n    utf8,\n):\n",
        "import {\n  password,\n  base64,\n  oauth2\n} from './x1'",
        "Fields:\n- user\n- password\n- address2\n- utf8\n",
        "class U:\n    password\n    \nOK\nPython3\nES2020\n",
        "Forgot password?\nClick\nstep2\nH264\n",
        "def f(user, password):\n    return sha1, sha256",
        "name, password,\nuser, sha256,\n",
        "id,password\n\n8,sha256",
        "password\nuser, x\nsha256",
        "-u, --password\n-s, --sha256",
        "<table><tr><th>password</th></tr></table><table><tr><td>base64</td></tr></table>",
        "2024-01-15,password\n2024-01-16,sha256",
    ],
)
def test_lines_that_only_look_like_a_table_are_none(text: str) -> None:
    assert said(text) == []


@pytest.mark.parametrize(
    "text",
    [
        '{"calls": 1500000}',
        "call(1234567)",
        '"text": "1234567890"',
        "text: 1234567890",
        "Total calls 1234567",
        "to reach 1 000 000 users",
        "dial 10 000 000",
        "text 12345678 rows",
        "a5b3c2df-2276-4780-b1aa-0123456789ab",
        '{"order_id": 86095742719}',
        "orderId=86095742719",
        "1000 4111 1111 1111 1111 2000",
        "4111 1111 1111 1111 2000 3000",
    ],
)
def test_numbers_of_programs_are_nobodys(text: str) -> None:
    assert said(text) == []


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Call me: 4155552671", "4155552671"),
        ("zadzwoń: 512345678", "512345678"),
        ("IdNr 86095742719", "86095742719"),
        ("in 2024 4111 1111 1111 1111", "4111 1111 1111 1111"),
        ("4111 1111 1111 1111 1227 123", "4111 1111 1111 1111"),
        ("4111 1111 1111 1111 5555 5555 5555 4444", "5555 5555 5555 4444"),
        ("/x?phone=+44+20+7946+0958", "+44+20+7946+0958"),
        ("name=Jane+Roe&phone=+44+20+7946+0958", "+44+20+7946+0958"),
    ],
)
def test_what_is_somebodys_beside_them_is_found(text: str, value: str) -> None:
    assert value in said(text)


def test_a_plus_sign_out_of_a_query_is_one() -> None:
    assert said(r"SECRET=abc+d1f+xyz9/==\n") == ["abc+d1f+xyz9/=="]
    assert CODES.search("&#\u0664\u0661;") is None


@pytest.mark.parametrize("end", ["\u00e9\\n", "\u00e9 \u200b", "\u200b", "\u00e9\u0430\\n"])
def test_a_long_word_is_undone_in_linear_time(end: str) -> None:
    assert growth(plain, "a" * 5_000 + end, "a" * 20_000 + end) < LINEAR
    assert growth(plain, f"a{end}" * 2_500, f"a{end}" * 10_000) < LINEAR


@pytest.mark.parametrize(
    "piece",
    ["<tr>", "<td", "</tr>", "<tr><td>a</tr>", ",", "a  ", "\n\n", "a,\n", "&a=+(", "1111 "],
)
def test_tables_are_read_in_linear_time(piece: str) -> None:
    quarter, whole = (piece * (size // len(piece)) for size in (25_000, 100_000))
    head = "password <td \n"
    find = lambda text: list(tabled(Reading(plain(head + text)[0])))  # noqa: E731
    assert growth(find, quarter, whole) < LINEAR
