"""Keys beside letters of any language, private keys whole and cut, passwords in commands."""

from __future__ import annotations

import json

import pytest

from emafusion.protect.structured import Structured
from growth import LINEAR, growth

FOUND = Structured().found
KEYS = {
    "ghp_": "ghp_" + "aB3" * 12,
    "sk-": "sk-proj-Ab3dE5fG7hI9jK1lM3nO5pQ7rS9tU1vW",
    "glpat-": "glpat-aB3dE5fG7hI9jK1lM3nO",
    "xox": "xoxb-123456789012-aB3dE5fG7hI9",
    "discord": f"M{'aB3' * 8}.aB3dE5.{'aB3' * 9}",
    "eyJ": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
}
HEAD, FOOT = "-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----"
LINES = [f"MIIEpAIBAAKCAQEA7x{n}dKq9YvLmN0oPzQrStUvWxYz0123456789abcdefghijkl" for n in range(4)]
BODY = "\n".join(LINES)
VALUE = "S3cr3t!x9"


def said(text: str) -> list[str]:
    return sorted({text[one.start : one.end] for one in FOUND(text) if one.kind == "KEY"})


@pytest.mark.parametrize(
    "around", ["我的密钥是{}吗", "キーは{}です", "키는{}입니다", "clé{}", "é{}é"]
)
@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_a_key_is_found_right_beside_letters_of_other_languages(key: str, around: str) -> None:
    assert said(around.format(key)) == [key]


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("我的passport号码531234567", "PASSPORT", "531234567"),
        ("我的ssn是219099999", "ID", "219099999"),
        ("我的phone是20123456", "PHONE", "20123456"),
        ("제tel은20123456", "PHONE", "20123456"),
        ("请用bearer abcdefgh12345678ABCD", "KEY", "abcdefgh12345678ABCD"),
        ("请运行curl -u jane:Pa55word! https://x", "KEY", "Pa55word!"),
    ],
)
def test_so_is_a_value_behind_a_word_beside_them(text: str, kind: str, value: str) -> None:
    assert (kind, value) in {(one.kind, text[one.start : one.end]) for one in FOUND(text)}


def test_a_word_that_goes_on_with_letters_of_its_own_is_another() -> None:
    assert FOUND("der passé 20123456, mobiles 20123456, télé20123456") == []


@pytest.mark.parametrize(
    "text",
    [
        f"Never print {HEAD} blocks, thanks. What is 2 + 2?",
        f"if s.startswith('{HEAD}') and s.endswith('{FOOT}'):\n    return s",
        f'HEAD = "{HEAD}"\n\ndef read(path):\n    return path\n',
        f"src/a.py:12: {HEAD}\nsrc/b.py:13: def f(): pass\n",
        f"{HEAD}\n\x00\n{BODY}",
        f"{HEAD}\nNote: see below\nand here",
        f"{HEAD} from OpenAI, GitHub or ServiceAccounts",
    ],
)
def test_a_mention_of_a_private_key_is_none(text: str) -> None:
    assert said(text) == []


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("x {head}\n{body}\n{foot} y", "x  y"),
        ("{head}\n{body}\nthanks, Jane", "\nthanks, Jane"),
        ("{head}\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES,0\n\n{body}\n the rest", "\n the rest"),
        ("{head} {spaced} and more", " and more"),
        ("> {head}\n> {quoted}\n> bye now", "> \n> bye now"),
        ("{head}\r\n{crlf}\r\nbye now", "\r\nbye now"),
        ("{head} is none.\n{head}\n{body}\n{foot} ok", f"{HEAD} is none.\n ok"),
        ("{head}\n{body}\n\x00\n{foot}", f"\n\x00\n{FOOT}"),
        ('k = "{head}\\n"\n  "{coded}\\n";\n  f()', 'k = "\\n";\n  f()'),
    ],
)
def test_of_a_private_key_all_is_found_and_nothing_behind_it(text: str, rest: str) -> None:
    said = text.format(
        head=HEAD,
        foot=FOOT,
        body=BODY,
        spaced=" ".join(LINES),
        quoted="\n> ".join(LINES),
        crlf="\r\n".join(LINES),
        coded='\\n"\n  "'.join(LINES),
    )
    (key,) = [one for one in FOUND(said) if one.score == 1]
    assert said[: key.start] + said[key.end :] == rest


def test_lines_may_be_numbered() -> None:
    text = "\n".join(f"   {n}\t{line}" for n, line in enumerate([HEAD, *LINES, "bye now"], 1))
    (key,) = FOUND(text)
    assert text[: key.start] + text[key.end :] == "   1\t\n   6\tbye now"


LISTED = {
    "grep": ("server.key-{n}-", ""),
    "numbers": ("    {n}→", ""),
    "compose": ("web_1  | ", ""),
    "log": ("2024-01-01T00:00:{n}Z app ", ""),
    "named": ("[log] ", ""),
    "bytes": ("    b'", "\\n'"),
    "echo": ("echo '", "' >> k"),
}


@pytest.mark.parametrize(("before", "behind"), LISTED.values(), ids=LISTED)
def test_lines_of_a_key_without_a_foot_are_found_whatever_is_beside_them(
    before: str, behind: str
) -> None:
    lines = [f"{before.format(n=n)}{line}{behind}" for n, line in enumerate([*LINES, "aB3d=="], 8)]
    text = "\n".join([f"{before.format(n=7)}{HEAD}{behind}", *lines, "bye now"])
    (key,) = (one for one in FOUND(text) if one.score == 1)
    assert text[key.start : key.end].startswith(HEAD)
    assert text[key.end :] == f"{behind}\nbye now"


@pytest.mark.parametrize("text", ["{head}<br>{body}<br>x", "{head} # prod\n{body}\nx"])
def test_so_are_those_behind_a_mark_or_a_comment(text: str) -> None:
    text = text.format(head=HEAD, body="<br>".join(LINES))
    (key,) = FOUND(text)
    assert text[key.end :] in ("<br>x", "\nx")


@pytest.mark.parametrize(
    "rest",
    [
        "a\nb\nc\nd\n" + LINES[0],
        "/home/User1/Projects/MyApp/src/main/java/App",
        "commit 4f2a9c1d4f2a9c1d4f2a9c1d4f2a9c1d4f2a9c1d",
    ],
)
def test_what_is_no_line_of_a_key_or_far_from_its_head_is_left(rest: str) -> None:
    assert said(f"See {HEAD} in it.\n{rest}") == []


@pytest.mark.parametrize(
    "text",
    [
        "redis-cli -h db -a {} ping",
        "redis-cli -p16379 -a {} ping",
        "redis-cli -h db -a {} -p16379",
        "sshpass -p {} ssh root@db",
        "sshpass -p {} ssh -p22022 db",
        "sshpass -p {} scp -P22022 a db:",
        "mongosh -p27018 -u root -p {}",
        "mongosh --port 27018 -p {}",
        "mysql -P33060 -u root -p{}",
        "curl -x proxy1 \\\n  -u jane:{} https://x",
        "sqlplus -S scott/{}@db",
        "sshpass -p '{}' ssh root@db",
        "mongosh -u root -p {}",
        "docker login -u jane -p {} reg.example",
        "az login -u jane -p {}",
        "smbclient //h/s -U root%{}",
        "lftp -u jane,{} host",
        "sqlplus scott/{}@db",
        "CREATE USER a IDENTIFIED BY '{}';",
        "ALTER USER a IDENTIFIED WITH caching_sha2_password BY '{}'",
        "identified by '{}'",
        "requirepass {}",
        "keytool -storepass {} -list",
        "USER jane\r\nPASS {}\r\n",
        "password {}",
        "password - {}",
        "password – {}",
        "the wifi password ({})",
        "Her password's {}",
        'args: ["--password", "{}"]',
        "args:\n  - --password\n  - {}\n",
        "command: ['redis-server','--requirepass','{}']",
        '["redis-cli", "-a", "{}", "ping"]',
        '["sshpass", "-p", "{}"]',
    ],
)
def test_a_password_is_found_in_commands_and_in_plain_words(text: str) -> None:
    assert said(text.format(VALUE)) == [VALUE]


def test_a_command_within_another_has_its_own_password() -> None:
    text = f"sshpass -p {VALUE} curl -U bob:x1y2z -u jane:z2y1x https://x"
    assert said(text) == [VALUE, "x1y2z", "z2y1x"]


@pytest.mark.parametrize("text", ["mysql -u root -p48213", "sshpass -p 48213 ssh -p 22022 db"])
def test_a_password_of_digits_is_no_port(text: str) -> None:
    assert said(text) == ["48213"]


@pytest.mark.parametrize(
    "text",
    [
        "docker run -p 8080:8080 image1",
        "docker login reg.example; docker run -p 8080:8080 image1",
        "redis-cli -p16379 ping",
        "sshpass -f pw1 ssh -p 22022 db",
        "ssh -p 22022 jane@host1",
        "redis-cli -p 16379 ping",
        "mysql -u root -p orders2024",
        "sshpass -p $PASS ssh root@db",
        'docker login -u jane -p "${{ secrets.TOKEN }}" reg.example',
        "mongosh -u root -p <password1> db",
        "curl -u $USER:$PASS https://x",
        "The gene was identified by 'BRCA12' in 1994.",
        "pass key1=value to it",
        "pass item#1234 on",
        "password (at least 8 characters, 1 digit)",
        "password - 12 characters or more",
        "password - see chapter3",
        "Forgot your password? Mail jane1@x.invalid2",
        "signature (sha256WithRSAEncryption12)",
        'args: ["--password", "--verbose1"]',
        'args: ["--password-file", "/run/pw1"]',
        "args:\n  - --password\n  - $(cat pw1)\n",
        "parser.add_argument('--password', 'Enter the password 1')",
        "login: jane\n\x00\npassword hunter22",
    ],
)
def test_ports_variables_and_words_are_none(text: str) -> None:
    assert said(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "signature = base64url_decode(crypto_segment)",
        "token = self._fp1.read(12)[0]",
        "access_token: z1.string().min(10).max(22)",
        "credentials = standard_b64encode64(credentials).decode('ascii')",
    ],
)
def test_code_that_makes_a_token_is_none(text: str) -> None:
    assert said(text) == []
    assert said("token = aB3dE5fG7hI9jK1lM3nO") == ["aB3dE5fG7hI9jK1lM3nO"]


@pytest.mark.parametrize(
    "key", ["aB3dE6gH9jK2(mN5pQ8", "x9Kd3PzQ4rT7uW1[abC", "k20PqR7sT4vW9zB3(!"]
)
@pytest.mark.parametrize("text", ["api_key: {}", "access_token={}", "export API_TOKEN={}\n"])
def test_a_bracket_within_a_key_makes_no_code_of_it(text: str, key: str) -> None:
    assert said(text.format(key)) == [key]


@pytest.mark.parametrize(
    "piece",
    [HEAD, f"{HEAD}\n", f"{HEAD}\nMIIEow\n", f"{HEAD}\nA: b\n", f"{FOOT}{HEAD}\n1\n",
     "sshpass -p ", "docker login -p ", "sqlplus a/", "create identified by ",
     "'--password',\n", "- --password\n", '"redis-cli","-a",', "password (", "password's ",
     "phone: [1234567, ", "密码pass", "CVE-2024-3094 ", "0.0012345678 ", "\n+ 44 20 7946", "\r",
     "curl -u a:b\\\n", "sshpass ",
     "mysql -p1 ", f"{HEAD}\nx| {LINES[0]}\n\n", f"| {LINES[0]}\n", "sqlplus -a ",
     '"password": {"new": "a", ', '"password": {', '{"type": "password ', "ip >= 1.2.3.4, ",
     "a>=1.2.3.4", "0011 1 "],
)  # fmt: skip
def test_none_of_it_takes_more_than_its_length_asks_for(piece: str) -> None:
    quarter, whole = (piece * (size // len(piece)) for size in (10_000, 40_000))
    assert growth(FOUND, quarter, whole) < LINEAR


def test_a_key_in_json_stays_in_its_field() -> None:
    text = json.dumps({"private_key": f"{HEAD}\n{BODY}\n", "client_email": "x"})
    (key,) = FOUND(text)
    assert text[key.end :] == '\\n", "client_email": "x"}'
