"""Ways in which a value stands in a text: tables, keys and markup, beside clean ones that are hard.

What is ``HELD`` was written after the patterns and is not what they were made with. Nothing here
knows how values are found.
"""

from __future__ import annotations

import html
import json
import urllib.parse
from collections.abc import Callable

Write = Callable[[str, str], str]
"""Writes a key of small words and a value."""


def snake(key: str) -> str:
    """``phone number`` as ``phone_number``."""
    return key.replace(" ", "_")


def camel(key: str) -> str:
    """``phone number`` as ``phoneNumber``."""
    first, *others = key.split()
    return first + "".join(other.title() for other in others)


CONTEXTS: dict[str, Write] = {
    "csv": lambda k, v: f"id,name,{snake(k)},city\n7,Jane,{v},Leeds\n8,Ann,n/a,York",
    "csv quoted": lambda k, v: f'"id","{k}","total"\n"7","{v}","12.50"',
    "tsv": lambda k, v: f"name\t{k}\tage\nJane\t{v}\t41",
    "json": lambda k, v: json.dumps({"id": 7, snake(k): v, "open": True}),
    "json camel": lambda k, v: f"The tool said {json.dumps({camel(k): v, 'total': 12.5})}.",
    "json in json": lambda k, v: json.dumps({"body": json.dumps({snake(k): v, "n": 1})}),
    "json lines": lambda k, v: json.dumps({"text": f"{k}:\n{v}\nthanks,\tJane"}),
    "yaml": lambda k, v: f"customer:\n  {snake(k)}: {v}\n  active: true",
    "env": lambda k, v: f"DEBUG=1\n{snake(k).upper()}={v}\nPORT=8080",
    "ini": lambda k, v: f"[customer]\n{snake(k)} = {v}\nretries = 3",
    "xml": lambda k, v: f"<user><{snake(k)}>{html.escape(v)}</{snake(k)}><age>41</age></user>",
    "html table": lambda k, v: f"<tr><th>{k.title()}</th></tr>\n<tr><td>{html.escape(v)}</td></tr>",
    "bold": lambda k, v: f"- {k.title()}: **{v}**\n- status: open",
    "code": lambda k, v: f"The {k} is `{v}`, as before.",
    "md table": lambda k, v: f"| name | {k} |\n|---|---|\n| Jane | {v} |",
    "underscore": lambda k, v: f"{k}: _{v}_",
    "log": lambda k, v: f"2026-11-22T16:20:31Z INFO svc=crm {snake(k)}={v} took=31ms",
    "url": lambda k, v: f"GET /find?page=2&{snake(k)}={urllib.parse.quote(v)}&sort=up HTTP/1.1",
    "sql": lambda k, v: f"INSERT INTO people (id, {snake(k)}, note) VALUES (7, '{v}', 'x');",
    "repr": lambda k, v: repr({"note": f"{k}:\n{v}", "n": 1}),
    "shell": lambda k, v: f"./enrol --{k.replace(' ', '-')} '{v}' --verbose",
    "header": lambda k, v: f"Subject: account\nX-{k.title().replace(' ', '-')}: {v}\n\nHello",
    "quoting": lambda k, v: f"> On Tuesday Ann wrote:\n> > my {k} is {v}\n> ok, noted",
}
HELD_CONTEXTS: dict[str, Write] = {
    "toml": lambda k, v: f'[[people]]\n{snake(k)} = "{v}"\nage = 41',
    "ruby": lambda k, v: f'{{ :id => 7, "{snake(k)}" => "{v}" }}',
    "script": lambda k, v: f"const row = {{ id: 7, {camel(k)}: '{v}', ok: true }};",
    "semicolons": lambda k, v: f"Name;{k.title()};Ort\nJane;{v};Köln",
    "attribute": lambda k, v: f'<input name="{snake(k)}" value="{html.escape(v)}" required>',
    "form": lambda k, v: f"name=Jane+Roe&{snake(k)}={urllib.parse.quote_plus(v)}&send=1",
    "chat": lambda k, v: f"*{k.title()}:* {v}\n*Status:* open",
    "list": lambda k, v: f"1. name - Jane\n2. {k} - {v}\n3. city - Leeds",
    "rst": lambda k, v: f":name: Jane\n:{k}: {v}\n:city: Leeds",
    "graph": lambda k, v: f'mutation {{ add({camel(k)}: "{v}", n: 1) {{ id }} }}',
}
KEYS = {
    "EMAIL": ["email", "contact email"], "PHONE": ["phone", "mobile number"], "IBAN": ["iban"],
    "CARD": ["card number"], "KEY": ["api key", "access token"], "PASSWORD": ["password"],
    "URL": ["callback url"], "IP": ["client ip"], "ID:us": ["ssn"], "ID:uk": ["national insurance"],
    "ID:nhs": ["nhs number"], "ID:de": ["tax id"], "ID:fr": ["nir"], "ID:es": ["dni"],
    "ID:it": ["codice fiscale"], "BIRTH": ["date of birth", "dob"],
    "PASSPORT": ["passport number"], "LICENCE": ["driving licence number"],
}  # fmt: skip
HELD_KEYS = {
    "PHONE": ["cell phone", "tel no"], "PASSWORD": ["db passwd", "user pass"],
    "BIRTH": ["birth date", "birthday"], "PASSPORT": ["passport no"],
    "LICENCE": ["driver license"], "KEY": ["client secret", "auth token"],
}  # fmt: skip

HARD = [
    "The population rose from {k} {k} {k} to {k} {k} {k}.",
    "The mask of the net is 255.255.255.0.",
    "Tracking number 1Z999AA1{b}{n}784 says delivered.",
    "Order number 41555{b} was cancelled.",
    "password = getpass.getpass()",
    "api_key = settings.API_KEY",
    "API_KEY=YOUR_API_KEY_HERE",
    "password: ********",
    "token = jwt.encode(payload, key)",
    "password=os.environ['DB_PASS']",
    "The password is case-sensitive.",
    "secret: ${{{{ secrets.DEPLOY }}}}",
    "image@2x.png is sharp.",
    "x @ W.T + b",
    "W@x.shape",
    "Prices rose at amazon dot com in 1999.",
    "Firmware 10.2.30.4 is out.",
    'class="sk-toggleable__label-arrow-fitted"',
    "sk-estimator-checks-common-parameters-list",
    "700 800 900",
    "Seats 612 613 614 are free.",
    "Item 612 345 678 is back-ordered.",
    "Call 3 functions with {b}{n} arguments.",
    "Invoice {k}-{n}-4467 remains unpaid.",
    "The passport office opens at 08:00 on 2024111.",
    "Passport rules changed in 2021.",
    "DOI 10.1038/s41586-020-2649-2",
    "EAN 4006381333931 is on the box.",
    "x = 0xDEADBEEF",
    "UUID 550e8400-e29b-41d4-a716-446655{n}0 identifies the row.",
    "pi = 3.14159265358979323846",
    "id,total,when\n7,{n}.{m},2024-11-22\n8,{k}.{m},2024-11-23",
    "lat=40.712776, lon=-74.005974",
    "[[1, 2, 3], [4, 5, 6], [7, 8, 9]]",
    "02 04 08 16 32 64",
    "epoch_ms=1732290{k}{k}",
    "La clave es trabajar-duro todos los días.",
    "Das Passwort ist falsch.",
    "std::a::b::c",
    "Le mot de passe est obligatoire.",
    "npm i @types/node@20.11.5",
    "git@github.com:acme/x.git",
    "docker pull ghcr.io/acme/app@sha256:abcdef",
    '"password": {{"type": "string"}}',
    "The word born comes from Old English.",
    "A pass over {b} rows took {m} minutes.",
    "Ein {b} Euro teures Haus",
    "The phone has {k} pixels per inch and costs {k} euros.",
    "Reisepässe kosten {n} Euro.",
    "Born in the USA came out on 4 June 1984.",
    "cos 30, sin 45, tan 60",
    "NATO was founded on 4 April 1949.",
    "2026-11-22T16:20:31Z GET /v1/users/{b} 200 {k}ms",
    "Umsatz: 1.{k}.{k},89 Euro",
    "Figures: {k}, {k}, {k} and {k}",
    "v10.4.2.1 fixes it.",
    "He paid in 3 instalments of 1,{k}.{m}.",
    'text = "a\\tb\\nc{n}"',
    "Is CVE-2024-3{k} worse than CVE-2014-0160 or CVE-20{m}-{n}94?",
    "loss 0.00{k}9242{b} after {m} epochs",
    '{{"w": [0.0061{b}{k}, -0.00{n}0809825429995]}}',
    "See JIRA-2024-1{k} and issue 2019-1{k}.",
    "bytes 4096-8{k}, ports 3000-3999",
    'AssemblyVersion("{v}")',
    "pip install ./numpy-{v}.tar.gz",
    "typing_extensions >= 3.10.0.0",
    "Bind it to 127.0.0.1:8{k}.",
    "RFC 7231 7.1.{m} at https://www.rfc-editor.org/rfc/rfc9110",
    "signature = base64url_decode(crypto_segment{n})",
    "access_token: z{n}.string().min(10)",
    "Copyright (C) 1994-1996, Thomas G. Lane.",
    "Never print -----BEGIN PRIVATE KEY----- in {m} lines.",
    "100%25 of {n}",
]
HELD_HARD = [
    "The key is to practise every day.",
    "token budget: 4096 per request",
    "max_tokens={k}",
    "secret_name: my-app-tls",
    "The secret ingredient is cinnamon.",
    "tokenizer = load('bert-base')",
    "password_min_length = 12",
    "if password == confirm_password: return True",
    "keyboard: qwertz-layout-de",
    "primary_key = Column(Integer)",
    "foreign_key=users.id",
    "Mobile: 3 of {k} users",
    "Tel Aviv has {b} hotel beds.",
    "They rang twice, at 10 and at 12.",
    "Dial {m} turns to the left.",
    "Section 3.{m}.1.2 was repealed.",
    "The cell line HEK293 grew.",
    "Windows 10.0.19045.3803",
    "isbn: 978-{a}-{b}-{c}-4",
    "IMEI 490154203237518",
    "Hex colour #4111AA and {b}",
    "SELECT * FROM t WHERE id IN ({b}, {b}, {b})",
    "The licence fee rose to {k} pounds.",
    "Patent US 10,123,{k} B2",
    "CAS 7732-18-5",
    "Nació una idea el siglo pasado.",
    "Geburtenrate {y}: 1,{m}",
    "Le numéro {n} gagne.",
    "port: 54{k}",
    "checksum: d41d8cd98f00b204e9800998ecf8427e",
    'etag: "33a64df551425fcc"',
    "Score 21-19, 18-21, 21-17",
    "Box 12 holds {k} screws of 4x40.",
    "Kontostand: {n},{m} Euro",
    "GPU 0: 00000000:01:00.0 Off",
    "The train numbers are 101, 102 and 103.",
    "ratio 1:{k}",
]


def keyed(kind: str, held: bool) -> list[str]:
    """The keys under which values of `kind` stand."""
    return HELD_KEYS.get(kind, KEYS[kind]) if held else KEYS[kind]
