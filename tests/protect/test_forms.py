"""Each vendor's keys and each country's numbers: one that is right, one that is not."""

from __future__ import annotations

import pytest

from emafusion.protect.recognisers import cued, identities, numbers, passwords, secrets
from emafusion.protect.recognisers.reading import Reading
from emafusion.protect.structured import Structured
from growth import LINEAR, growth

ANY = "a1B2c3D4e5F6g7H8i9J0" * 6
CAPITALS = "A1B2C3D4E5F6G7H8J9K0" * 3
HEX = "0123456789abcdef" * 5
BECH = "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L" * 2
KEYS = {
    "AKIA": "AKIA" + CAPITALS[:16],
    "ASIA": "ASIA" + CAPITALS[:16],
    "ghp_": "ghp_" + ANY[:36],
    "gho_": "gho_" + ANY[:36],
    "ghu_": "ghu_" + ANY[:36],
    "ghs_": "ghs_" + ANY[:36],
    "ghr_": "ghr_" + ANY[:36],
    "github_pat_": f"github_pat_{ANY[:22]}",
    "xox": "xoxb-" + ANY[:12],
    "glpat-": "glpat-" + ANY[:20],
    "xapp-": "xapp-" + ANY[:12],
    "sk-": "sk-" + ANY[:24],
    "hooks.slack.com/": f"https://hooks.slack.com/services/T{ANY[:8]}/B{ANY[:8]}/{ANY[:24]}",
    "sk_live_": "sk_live_" + ANY[:16],
    "pk_live_": "pk_live_" + ANY[:16],
    "rk_live_": "rk_live_" + ANY[:16],
    "sk_test_": "sk_test_" + ANY[:16],
    "pk_test_": "pk_test_" + ANY[:16],
    "rk_test_": "rk_test_" + ANY[:16],
    "whsec_": "whsec_" + ANY[:16],
    "AIza": "AIza" + ANY[:35],
    "ya29.": "ya29." + ANY[:20],
    "GOCSPX-": "GOCSPX-" + ANY[:20],
    "hf_": "hf_" + ANY[:30],
    "npm_": "npm_" + ANY[:36],
    "pypi-": "pypi-" + ANY[:16],
    "SG.": f"SG.{ANY[:16]}.{ANY[:16]}",
    "dop_v1_": "dop_v1_" + HEX[:64],
    "doo_v1_": "doo_v1_" + HEX[:64],
    "shpat_": "shpat_" + HEX[:32],
    "shpca_": "shpca_" + HEX[:32],
    "shppa_": "shppa_" + HEX[:32],
    "shpss_": "shpss_" + HEX[:32],
    "gsk_": "gsk_" + ANY[:40],
    "xai-": "xai-" + ANY[:40],
    "r8_": "r8_" + ANY[:37],
    "dapi": "dapi" + HEX[:32],
    "hvs.": "hvs." + ANY[:20],
    "sntrys_": "sntrys_" + ANY[:30],
    "lin_api_": "lin_api_" + ANY[:30],
    "NRAK-": "NRAK-" + CAPITALS[:27],
    "AC": "AC" + HEX[:32],
    "SK": "SK" + HEX[:32],
    "eyJ": f"eyJ{ANY[:8]}.{ANY[:8]}.",
    "AccountKey=": "AccountKey=" + ANY[:40],
    "sq0": "sq0atp-" + ANY[:20],
    "EAAA": "EAAA" + ANY[:56],
    "EAAC": "EAAC" + ANY[:30],
    "dckr_pat_": "dckr_pat_" + ANY[:24],
    "ntn_": "ntn_" + ANY[:40],
    "secret_": "secret_" + ANY[:40],
    "figd_": "figd_" + ANY[:36],
    "pat": f"pat{ANY[:14]}.{HEX[:64]}",
    "PMAK-": f"PMAK-{HEX[:24]}-{HEX[:34]}",
    "ATATT3": "ATATT3" + ANY[:40],
    "ATCTT3": "ATCTT3" + ANY[:40],
    "ATBB": "ATBB" + ANY[:28],
    "glsa_": f"glsa_{ANY[:32]}_{HEX[:8]}",
    "glc_": "glc_" + ANY[:32],
    "sbp_": "sbp_" + HEX[:40],
    "pscale_": "pscale_tkn_" + ANY[:32],
    "pplx-": "pplx-" + ANY[:40],
    "AGE-SECRET-KEY-": "AGE-SECRET-KEY-1" + BECH[:58],
    "dp.": "dp.pt." + ANY[:40],
    "pul-": "pul-" + HEX[:40],
    "key-": "key-" + HEX[:32],
    "PRIVATE-TOKEN": "PRIVATE-TOKEN: " + ANY[:20],
    "rubygems_": "rubygems_" + HEX[:48],
    "atlasv1": f"{ANY[:14]}.atlasv1.{ANY[:60]}",
    "sgp_": "sgp_" + ANY[:40],
    "nvapi-": "nvapi-" + ANY[:60],
    "tvly-": "tvly-" + ANY[:20],
    "fw_": "fw_" + ANY[:22],
    ":AA": f"{'123456789'}:AA{ANY[:33]}",
    "8Q~": f"abc8Q~{ANY[:34]}",
    "sig=": f"?x=1&sig={ANY[:40]}",
    "-us": HEX[:32] + "-us14",
    "discord": f"discord.com/api/webhooks/123456789012345678/{ANY[:68]}",
}
"""The shortest key of each form."""
NUMBERS = {
    "US": ("219-09-9999", "000-09-9999"),
    "DE": ("86095742719", "86095742718"),
    "DE spaced": ("86 095 742 719", "86 095 742 710"),
    "FR": ("185057800608491", "185057800608490"),
    "FR spaced": ("1 85 05 78 006 084 91", "1 85 05 78 006 084 90"),
    "GB health": ("943 476 5919", "943 476 5910"),
    "PL": ("44051401359", "44051401358"),
    "SE": ("811218-9876", "811218-9875"),
    "SE long": ("19811218-9876", "19811218-9875"),
    "CH": ("756.9217.0769.85", "756.9217.0769.84"),
    "CH plain": ("7569217076985", "7569217076984"),
    "BR": ("529.982.247-25", "529.982.247-24"),
    "BR plain": ("529982247-25", "529982247-24"),
    "BR firm": ("11.222.333/0001-81", "11.222.333/0001-80"),
    "NO": ("13097248022", "13097248023"),
    "TR": ("10000000146", "10000000147"),
    "RO": ("1800101221144", "1800101221145"),
    "KR": ("900101-1234568", "901301-1234568"),
    "CN": ("11010519491231002X", "110105194912310021"),
    "FI": ("131052-308T", "131052-308A"),
    "BE": ("85.07.30-033.28", "85.07.30-033.27"),
    "CL": ("12.345.678-5", "12.345.678-4"),
    "IN": ("2341 2341 2346", "2341 2341 2345"),
    "ES": ("12345678Z", "12345678A"),
    "ES dotted": ("12.345.678-Z", "12.345.678-A"),
    "ES foreign": ("X1234567L", "X1234567A"),
    "ES marked": ("X-1234567-L", "X-1234567-A"),
    "GB": ("AB123456C", "QQ123456C"),
    "GB spaced": ("AB 12 34 56 C", "AB 12 34 56 E"),
    "GB dashed": ("AB-12-34-56-C", "AB-12-34-56-F"),
    "IT": ("RSSMRA85T10A562S", "RSSMRA85T10A562A"),
    "IT spaced": ("RSS MRA 85T10 A562S", "RSS MRA 85T10 A562A"),
    "MX": ("HEGG560427MVZRRL04", "HEGG561327MVZRRL04"),
    "SG": ("S1234567D", "S1234567A"),
}
CARDS = {
    "visa": ("4111111111111111", "4111111111111112"),
    "visa 13": ("4222222222222", "4222222222223"),
    "master": ("5555 5555 5555 4444", "5555 5555 5555 4445"),
    "amex": ("3782 822463 10005", "378282246310006"),
    "master 2": ("2223003122003222", "2223003122003223"),
    "diners": ("30569309025904", "30569309025905"),
    "discover": ("6011111111111117", "6011111111111118"),
    "jcb": ("3530111333300000", "3530111333300001"),
    "maestro": ("6759649826438453", "6759649826438454"),
    "nobody": ("5105105105105100", "1234567812345670"),
}
ACCOUNTS = {
    "DE": ("DE89370400440532013000", "DE88370400440532013000"),
    "GB": ("GB29 NWBK 6016 1331 9268 19", "GB28 NWBK 6016 1331 9268 19"),
    "NO": ("NO93 8601 1117 947", "NO93 8601 1117 946"),
    "MT": ("MT84MALT011000012345MTLCAST001S", "MT84"),
    "dotted": ("DE89.3704.0044.0532.0130.00", "DE89.3704.0044.0532.0130.01"),
    "PL inland": ("61 1090 1014 0000 0712 1981 2874", "61 1090 1014 0000 0712 1981 2875"),
}
PHONES = [
    "+1 415 555 2671",
    "(312) 555-0143",
    "415.555.2671",
    "1-800-555-0199",
    "0044 20 7946 0958",
    "07700900123",
    "020 7946 0958",
    "0171 1234567",
    "089/123456",
    "0211 / 12 34 56",
    "06 12 34 56 78",
    "06.12.34.56.78",
    "0612345678",
    "612 345 678",
    "612 34 56 78",
    "512 345 678",
    "347 123 4567",
    "347/1234567",
    "98765 43210",
    "8 (495) 123-45-67",
    "(11) 91234-5678",
    "912 34 567",
    "0412 345 678",
    "06-12345678",
    "+86 138 0013 8000",
    "010-1234-5678",
    "+44 (0)20 7946 0958",
]
CUED = {
    "My number is {}.": "4155552671",
    "Mi número es {}.": "612345678",
    "tel. {}": "22 123 45 67",
    "Ring på {}": "20123456",
    "电话{}": "62345678",
    "携帯{}": "9012345678",
    "номер {}": "89123456789",
    '{{"phoneNumber": "{}"}}': "4155552671",
    "mobile_phone={}": "4155552671",
    "zadzwoń: {}": "512345678",
}
FOUND = Structured().found


def kinds(text: str, value: str) -> set[str]:
    start = text.index(value)
    return {one.kind for one in FOUND(text) if one.start <= start and one.end >= start + len(value)}


@pytest.mark.parametrize("trace", [*secrets.FORMS, *secrets.ELSEWHERE])
def test_a_vendors_key_is_found_and_one_cut_short_is_not(trace: str) -> None:
    key = KEYS[trace]
    assert [one.kind for one in secrets.keys(Reading(f"It is {key} now"))].count("KEY") == 1
    assert not list(secrets.keys(Reading(f"It is {key[: len(key) - len(key) // 3]} now")))


def test_every_numbering_has_an_example() -> None:
    right = [value.upper() for value, _ in NUMBERS.values()]
    for one in identities.NUMBERINGS:
        assert any(one.form.match(value) for value in right), one.form.pattern


@pytest.mark.parametrize(("right", "wrong"), NUMBERS.values(), ids=NUMBERS)
def test_a_persons_number_is_found_by_its_check(right: str, wrong: str) -> None:
    assert "ID" in kinds(f"It is {right} now", right)
    assert not list(identities.identities(Reading(f"It is {wrong} now")))


@pytest.mark.parametrize(("right", "wrong"), CARDS.values(), ids=CARDS)
def test_a_card_is_found_by_its_issuer_and_check(right: str, wrong: str) -> None:
    assert "CARD" in kinds(f"It is {right} now", right)
    assert not list(numbers.cards(Reading(f"It is {wrong} now")))


@pytest.mark.parametrize(("right", "wrong"), ACCOUNTS.values(), ids=ACCOUNTS)
def test_an_account_is_found_by_its_check(right: str, wrong: str) -> None:
    assert "IBAN" in kinds(f"It is {right} now", right)
    assert not list(numbers.accounts(Reading(f"It is {wrong} now")))


@pytest.mark.parametrize("phone", PHONES)
def test_a_telephone_number_is_found_by_its_form(phone: str) -> None:
    assert "PHONE" in kinds(f"Try {phone}, please.", phone)


@pytest.mark.parametrize(("frame", "phone"), CUED.items())
def test_a_telephone_number_is_found_behind_a_word_for_it(frame: str, phone: str) -> None:
    assert "PHONE" in kinds(frame.format(phone), phone)
    assert FOUND(f"Total {phone} pieces") == []


@pytest.mark.parametrize(
    "text",
    [
        "Item 612 345 678",
        "612 613 614 615",
        "700 800 900",
        "02 04 08 16 32 64",
        "612 345 678 units",
        "1.5 + 20 30 40 50",
        "from 0900 1700 1800",
    ],
)
def test_what_is_counted_is_no_telephone_number(text: str) -> None:
    assert FOUND(text) == []


MONTHS = {
    "born": "January Feb March April May June July August September October Nov December",
    "geboren am": "Jänner Februar März April Mai Juni Juli August September Oktober November",
    "née le": "janvier février mars avril mai juin juillet août septembre octobre décembre",
    "nacida el": "enero febrero marzo abril mayo junio julio agosto septiembre octubre diciembre",
    "nato il": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre dicembre",
    "geboren op": "januari februari maart april mei juni juli augustus september oktober december",
    "nascido em": "janeiro fevereiro março abril maio junho julho agosto setembro outubro dezembro",
    "urodzony": "stycznia lutego marca kwietnia maja czerwca lipca sierpnia września grudnia",
}


@pytest.mark.parametrize("words", MONTHS)
def test_a_birth_is_found_in_every_month(words: str) -> None:
    for month in MONTHS[words].split():
        for form in (f"14 {month} 1987", f"14. {month} 1987", f"14 de {month} de 1987"):
            assert "BIRTH" in kinds(f"{words} {form}", form), month


def test_dates_of_other_things_are_none() -> None:
    for text in ("Born in the USA came out on 4 June 1984.", "NATO was founded on 4 April 1949."):
        assert FOUND(text) == []
    assert cued.IS_DATE.fullmatch("14-mar-1987") is not None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"password":"Tr0ub4dor&3x"}', "Tr0ub4dor&3x"),
        ("userPassword: hunter22", "hunter22"),
        ("export PGPASSWORD=qwertyuiop", "qwertyuiop"),
        ("login: jane / pw: Zx81x", "Zx81x"),
        ('password: "correct horse battery"', "correct horse battery"),
        ("DB_PASS=tiger1", "tiger1"),
        ("<password>Hunter22x</password>", "Hunter22x"),
        ("run --password Hunter22x now", "Hunter22x"),
        ("curl -u jane:Pa55word! https://x", "Pa55word!"),
        ("mysql -u root -pHunter22 db", "Hunter22"),
        ("SECRET_KEY_BASE=" + HEX[:64], HEX[:64]),
        ("Authorization: Token " + HEX[:40], HEX[:40]),
        ("X-Api-Key: " + HEX[:32], HEX[:32]),
        ("token: " + ANY[:32], ANY[:32]),
        ("hasło: Lato2024", "Lato2024"),
        ("пароль: Leto2024!", "Leto2024!"),
        ("API-Schlüssel: " + ANY[:32], ANY[:32]),
        ("a senha é Praia24", "Praia24"),
        ("Passwort lautet Blau#Wal", "Blau#Wal"),
        ("密码是Xia2024", "Xia2024"),
        ("Zugangsdaten: jo / Winter!23", "Winter!23"),
        ("https://" + ANY[:40] + "@git.example/x", ANY[:40]),
        ("my password for the VPN is Zx81x", "Zx81x"),
        ("My password:\nZx81xx\nthanks", "Zx81xx"),
        ("My password:\r\nZx81xx\r\nthanks", "Zx81xx"),
        ("password: Aq5,Aq5q!Pw", "Aq5,Aq5q!Pw"),
        ("the password is Tr0;ub4dor9, thanks", "Tr0;ub4dor9"),
        ("password: Tr0<ub4dor", "Tr0<ub4dor"),
        ("password=Tr0u{b4dor9", "Tr0u{b4dor9"),
        ("password: Tr0|ub4dor9", "Tr0|ub4dor9"),
        ('{"password": "Tr0\'ub4dor9"}', "Tr0'ub4dor9"),
        ('[{"name": "password", "value": "Tr0ub4dor&3x"}]', "Tr0ub4dor&3x"),
        ('{\n "Key": "DB_PASSWORD",\n "Value": "Tr0ub4dor&3x"}', "Tr0ub4dor&3x"),
        ('{"key": "password", "type": "text", "value": "Zx81xx"}', "Zx81xx"),
        ("- name: DB_PASSWORD\n  value: Tr0ub4dor&3x", "Tr0ub4dor&3x"),
        ("<key>password</key>\n\t<string>Zx81xx</string>", "Zx81xx"),
        ("<entry><key>password</key><value>Zx81xx</value></entry>", "Zx81xx"),
        ('<add key="DbPassword" value="Zx81xx"/>', "Zx81xx"),
        ('{"name": "API_KEY", "value": "' + ANY[:32] + '"}', ANY[:32]),
        ('{"passwords": ["a1b2c3d4", "Zx81xx", "Qw90er"]}', "Qw90er"),
        ("passwords = [\n  'a1b2c3d4',\n  'Zx81xx',\n]", "Zx81xx"),
        ('["mysql", "-u", "root", "-pHunter22"]', "Hunter22"),
    ],
)
def test_a_secret_is_found_behind_the_word_for_it(text: str, value: str) -> None:
    assert kinds(text, value) & {"KEY", "URL"}


@pytest.mark.parametrize(
    "text",
    [
        "password = getpass.getpass()",
        "api_key = settings.API_KEY",
        "API_KEY=YOUR_API_KEY_HERE",
        "idempotency_key: 8f14e45fceea167a5a36dedd4bea2543",
        's3_key = "uploads/2024/ab12cd34ef56aa77.jpg"',
        "password: ********",
        "const password = req.body.password;",
        'password=os.environ["PW"]',
        "token = jwt.encode(payload, key)",
        '"password": {"type": "string"}',
        "password=None",
        "secret: ${{ secrets.KEY }}",
        "The secret is self-discipline.",
        "Das Passwort ist falsch.",
        "La clave es trabajar-duro.",
        "access_token: str | None = None",
        "password=user_password",
        "Password: must contain 8 characters",
        '"password": "Enter your password"',
        "max_tokens=4096",
        "sk-estimator-checks-common-parameters",
        "image@2x.png",
        "W@x.shape",
        "vue@next.js",
        "amazon dot com",
        "Firmware 10.2.30.4",
        "255.255.255.0",
        "git@github.com:acme/x.git",
        "The passport office opens on 2024111.",
        "call stack 0123456 overflow",
        'get("password", None)',
        "password: str",
        "connect(host=h,password=pw1,db)",
        "password: required|min:8|confirmed",
        'pw = f"password=pre1{n1}x"',
        "secret: Option<[u8;32]>,",
        "password: &'static str",
        "password=nn,r1;return",
        'print("password=\'" + pw1 + "\' is")',
        "password: !vault |",
        "def f(password):\n    x1.run()",
        "password:\n  length2: 8",
        '{"name": "password", "type": "string"}',
        '{"key": "password", "value": "Enter your password 1"}',
        "- name: DB_PASSWORD\n  valueFrom:\n    secretKeyRef:\n      name: db1",
        "- name: DB_PASSWORD_FILE\n  value: /run/secrets/db1",
        '- name: DB_PASSWORD\n  value: "{{ .Values.db1 }}"',
        'imagePullSecrets: ["reg-1", "reg-2"]',
        'PASSWORD_FIELDS = ["pass1", "pass2"]',
        "icon.small@2x.png",
        "self.q@self.k.transpose(-2, -1)",
        "q@k.view(b)",
        "x@xs.flatten()",
        "getty@tty1.service",
        "react-dom@18.2.0.min.js",
    ],
)
def test_code_and_prose_around_such_words_is_clean(text: str) -> None:
    assert FOUND(text) == []


def test_the_condition_of_a_program_is_no_word_for_the_line_below_it() -> None:
    assert list(passwords.passwords(Reading("my password:\nretry2\n")))
    assert not list(passwords.passwords(Reading("if not password:\n    retry2\n")))


def test_a_named_secret_ends_where_the_next_field_begins() -> None:
    for text, value in (
        ("Server=h;Pwd=Tr0ub4;Uid=sa;", "Tr0ub4"),
        ("{user=x,password=Zx81xx,ip=4}", "Zx81xx"),
        ("<password>Hunter22x</password><b>", "Hunter22x"),
        ("<password>Hunter22x<br>", "Hunter22x"),
    ):
        assert [text[one.start : one.end] for one in FOUND(text)] == [value]


@pytest.mark.parametrize(
    "mail",
    [
        "jo.mail7@harbour.example",
        "jo.mail8@acme.zip",
        "jane.roe@taylor.swift",
        "jo@corp.localdomain",
        "jane@mail.corp.target",
        "jane.roe@mail.lock",
    ],
)
def test_a_mail_address_may_end_as_a_file_does(mail: str) -> None:
    assert kinds(f"to {mail}(Jo Mail)", mail) == {"EMAIL"}
    assert kinds(f"to {mail}, please", mail) == {"EMAIL"}


@pytest.mark.parametrize(
    "piece",
    [
        "password=a1,",
        "password: ['a1b2c',",
        "name: password, ",
        "name: password, a: b, ",
        '"mysql","-p',
        "passwords=['",
        "a1b2c','",
        '"x"@',
        "<key>password</key>",
    ],
)
def test_secrets_are_found_in_time_linear_in_the_text(piece: str) -> None:
    quarter, whole = (piece * (size // len(piece)) for size in (10_000, 40_000))
    assert growth(FOUND, quarter, whole) < LINEAR
