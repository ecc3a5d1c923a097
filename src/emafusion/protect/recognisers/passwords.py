"""Passwords, secrets and tokens that words or keys say are one.

Knows those words, and what is written in the place of a secret that is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from emafusion.protect.entities import Entity
from emafusion.protect.recognisers.cues import Cues
from emafusion.protect.recognisers.reading import Reading

SURE = Cues(
    "*password *passwd *passphrase passcode *passwort kennwort *pwd pass$ *_pass$ pw$ pw: pw="
    " pswd requirepass masterauth storepass keypass"
    " psk$ wachtwoord passord adgangskode kodeord lösenord hasło haslo parola$ contraseña"
    " contrasena senha$ пароль 密码 密碼 パスワード 비밀번호 secret$ secrets$"
    " *clientsecret *secret_ *_secret *secret$ pin_code",
    "mot de passe", "parola d'ordine", "pass phrase",
    "palavra-passe",
)  # fmt: skip
"""What these name is a secret, whatever it looks like."""
LIKELY = Cues(
    "*token *apikey *api_key *api-key *accesskey *access_key *privatekey *private_key"
    " *encryption_key *signing_key *auth_key *authkey *secret_key *master_key *credential"
    " *_key *signature clave$ authorization parola",
    "api key", "access key", "private key", "encryption key", "signing key", "api-schlüssel",
    "schlüssel", "clé api", "clé d'api", "cle api", "clave de api", "clave api", "chiave api",
    "chave de api", "chave api", "klucz api", "api-sleutel",
)  # fmt: skip
"""What these name is a secret if it looks like one."""
FINDS = re.compile(
    r"(?:s3|cache|idempotency|partition|sort|primary|foreign|object|storage|row|group|routing"
    r"|dedup|deduplication|lookup|index|hash|range|message)_key$"
)
"""Keys by which something is found, and nothing opened."""
_IS = "is|was|ist|war|lautet|est|es|é|è|jest|to|er|är|это|是|：|は|becomes|now|remains|ahora|now is"
_FOR = r"(?: (?:for|to|of|für|pour|para|per|on|do) (?:[\w.'-]{1,20} ?){1,4}?)"
VALUE = (
    r"(?P<value>(?P<quote>[\"'`])"
    # A quote of another kind may stand within, as in a word.
    r"(?P<quoted>(?:[^\"'`\n]|(?!(?P=quote))[\"'`](?<=\w.)(?=\w)){1,200})(?P=quote)"
    r"|\*\*(?P<bold>[^*\n]{1,100})\*\*"
    r"|[\"'`*]{0,2}(?P<bare>[^\s\"'`,;<>{}|]{1,300}"
    # Such a mark ends a secret, unless more of it follows and no other field or tag.
    r"(?:[\"'`,;<>{}|](?![\w.-]{1,30} ?[=:]|(?<=<)[a-z][\w-]{0,20}[ >/,])(?=[\w!#$%&*+@^~=?-])"
    r"[^\s\"'`,;<>{}|]{1,100}){0,8}))"
)
"""A secret as it is written: in quotes, in bold, or by itself."""
TAIL = re.compile(
    rf"(?P<rest>[\w.-]{{0,24}})(?P<shut>[\"'`*\])]{{0,3}})"
    r"(?P<says>: ?\r?\n[ \t]{0,8}| ?(?:=>|->|→|==?|:=|：|:(?!:)) ?|>"
    rf"|{_FOR}?(?: (?:{_IS})(?![^\W_])| ?(?:是|は))(?: now)?:? ?"
    rf"|'s | (?:- |\()(?=\S)|[ =](?=[\"'`]?\S)|\t){VALUE}"
)
CONDITION = re.compile(r"\b(?:if|elif|while|and|or|not|in|with|lambda|case)\b[^\n]*\Z")
"""What stands before a colon that ends a line of a program."""
PARTING = re.compile("[\"'`,;<>{}|]")
CALL = re.compile(r"\w\([^()]*\Z")
BASIC = re.compile(
    r"\b(?:bearer|basic|token|apikey) (?P<value>[\w.~+/=-]{16,2000})(?![\w.~+/=-])", re.ASCII
)
COMMAND = re.compile(
    r"\b(?:(?P<mysql>mysql\w*|mariadb)|(?P<apart>sshpass|mongo\w*)|(?P<redis>redis-cli)"
    r"|(?P<other>curl|wget|https?|lftp|svn|psql|smbclient)"
    r"|(?P<login>(?:docker|podman|nerdctl|az|oc|skopeo|buildah|helm registry) login))\b",
    re.ASCII,
)
"""Commands that take a password as an option."""
REACH, LONGEST = 200, 150
"""Characters behind a command in which its options begin; of one with its value."""
COMMANDED = re.compile(r"(?:[^\n\x00]|\n(?<=\\\n)|\n(?=--?[a-z]))*+")
"""What a command goes on with, over lines too."""
_PORT = r"(?!\d{2,5}(?::\d{2,5})?(?!\S))"
_SHORT = r"[\"']?(?P<value>(?=[^\s\"']{0,80}[\d!#$%&*+@^~=])(?!-)[^\s\"']{5,80})"
_USER = r"[ =]?[\"']?[^\s:,%\"']{1,60}[:,%](?P<value>[^\s\"'@]{3,80})"


def _option(form: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\S){form}", re.ASCII)


_ALL = (
    _option(rf"(?:-u|--user){_USER}"),
    _option(rf"-[pa]{_PORT}{_SHORT}"),
)
OPTIONS = {
    "mysql": (*_ALL, _option(rf"-p{_SHORT}")),
    "apart": (*_ALL, _option(rf"-p[ =]{_PORT}{_SHORT}"), _option(rf"(?<=sshpass )-p ?{_SHORT}")),
    "redis": (*_ALL, _option(rf"-a[ =]{_SHORT}")),
    "other": _ALL,
    # Others have a port or a database behind such an option and a blank.
    "login": (_option(rf"-p[ =](?!\d{{2,5}}:\d){_SHORT}"),),
}
"""Options with a password in them, each by itself: one hides no other. A variable is none."""
STATED = re.compile(
    rf"\bsqlplus\s{{1,3}}(?:-\w{{1,8}}\s{{1,3}}){{0,3}}\w{{1,30}}/(?P<slash>[^\s\"'@/]{{5,80}})@"
    rf"|\bidentified (?:with [\w\"']{{1,40}} )?by (?:password )?{_SHORT}",
    re.ASCII,
)
"""Statements, and names, with a password in them."""
STATEMENT = re.compile(r"\b(?:create|alter|grant)\b[^;]*\Z")
PAIRED = Cues("zugangsdaten credentials$ login$ logindaten identifiants$ accesso$")
LOGIN = re.compile(r"\b(?:login|logins|user|username|benutzer|machine|utilisateur|usuario)\b")
SLASHED = re.compile(r"[: ]{1,3}[\w.@+-]{2,60} ?[/|:,] ?(?P<value>[^\s,;]{5,80})")
NOTHING = re.compile(
    r"(?:[*x.•_#-]+|\d+\.\d+|<.*>?|\$\{.*|\$\(.*|\{\{.*|%\(.*|\$[a-z_]\w*|%[a-z_]+%|\[.*|env[.:(].*|process\..*"
    r"|!(?:vault|env|secret|reference)|os\.(?:environ|getenv).*|secrets?\.[\w.]+|vault:.*"
    r"|your[_ -].*|my[_-](?:password|secret).*"
    r"|change[_-]?me.*|replace.*|example|insert.*|none|null|nil|true|false|undefined|str|string|text"
    r"|int|bool|bytes|unused|required|optional|secret|secrets|password|passwords|passwd|pwd|pass"
    r"|token|key|hidden|invalid|empty|default|todo|tbd|test|foo|bar|redacted|masked|prompt|input"
    r"|minlength|length|field|reset|forgot|must|should|needs?|mindestens|falsch|wrong|incorrect"
    r"|any|self|cls|optional\[.*|typing\..*|sensitive|encrypted|hashed)\Z"
)
"""What is written where a secret would be, and is none."""
PROGRAM = re.compile(
    r"[a-z_]\w*(?:\.[a-z_]\w*)*[(\[].*|[a-z_][a-z_]*(?:\.[a-z_]+)+;?|\w+->\w+.*|@\w+|self\.\w+.*"
)
"""Code that says where a secret is had from."""
WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+")
SHORTEST_WORDS = 2.4
"""The mean length of words and numbers in the names of a program."""
NAMED = re.compile(r"[a-z_]*(?:pass|pwd|secret|token|key|credential)[a-z_]*")
PROSE = re.compile(
    r"\b(?:must|enter|your|forgot|forgotten|reset|required|should|characters|please|confirm|the|a"
    r"|is|show|hide|repeat|new|bitte|eingeben|votre|su|tu)\b"
)
ASSIGNED = frozenset(("=", "==", ":", ":=", "=>", "->", "→", ">", "："))
BARELY = ("", "-", "(", "'s")
"""What may stand between a word and what is its secret only if it reads like nothing else."""
STRONG = re.compile(
    r"(?=.*\d)(?=.*[a-z])(?![^@]+@[^@]+\.[a-z])"
    # Some marks are signs of a program, too.
    r"(?:(?=.*[!^~])|(?=.*[A-Z])(?=.*[#$%&*+@]))[A-Za-z0-9][^()=/\\]{5,}\Z"
)
LEAST = 5
LEAST_LIKELY = 16
MARKS = frozenset("#$%&*+@^~=!")


def passwords(reading: Reading) -> Iterator[Entity]:
    """What is said to be a password, a secret or a token."""
    folded = reading.spanned
    for sure, cues in ((True, SURE), (False, LIKELY)):
        for end in cues.ends(reading):
            if not sure and FINDS.search(folded, max(end - 20, 0), end):
                continue
            found = TAIL.match(folded, end)
            span = told(reading, found, sure=sure) if found is not None else None
            if span is not None:
                yield Entity(kind="KEY", start=span[0], end=span[1], score=0.65 + 0.05 * sure)
    for end in PAIRED.ends(reading):
        found = SLASHED.match(reading.folded, end)
        if found is not None and mixed(found["value"]):
            start, over = found.span("value")
            yield Entity(kind="KEY", start=start, end=over, score=0.6)
    heads = reading.heads
    if heads.intersection(("bea", "bas", "tok", "api")):
        for found in BASIC.finditer(folded):
            start, over = found.span("value")
            if random(reading.text[start:over]):
                yield Entity(kind="KEY", start=start, end=over, score=0.8)
    if " -" in folded or "sqlplus" in folded or "identified " in folded:
        for start, over in _commanded(reading):
            yield Entity(kind="KEY", start=start, end=over, score=0.7)


def _commanded(reading: Reading) -> Iterator[tuple[int, int]]:
    """Where the secrets of commands and statements stand."""
    for found in COMMAND.finditer(reading.spanned):
        yield from _options(reading, found)
    for found in STATED.finditer(reading.spanned):
        start, over = found.span("value" if found["slash"] is None else "slash")
        value = reading.text[start:over]
        if found["slash"] is None:
            value = value.rstrip(";)")
            # Prose says of what things are identified by.
            stated = STATEMENT.search(reading.before(found.start(), 120))
            if not (strong(value) or stated):
                continue
        if NOTHING.match(value.lower()) is None:
            yield start, start + len(value)


def _options(reading: Reading, command: re.Match[str]) -> Iterator[tuple[int, int]]:
    """Where the secrets in the options of `command` stand."""
    folded, start = reading.spanned, command.end()
    said = COMMANDED.match(folded, start, start + REACH + LONGEST)
    over = start if said is None else said.end()
    if "-" not in folded[start:over]:
        return
    for found in (one for form in OPTIONS[command.lastgroup or ""]
                  for one in form.finditer(folded, start, over)):  # fmt: skip
        value = found["value"]
        port = value.isdigit() and reading.text[found.start() + 1] == "P"
        if not (port or found.start() > start + REACH or NOTHING.match(value)):
            yield found.span("value")


def told(reading: Reading, found: re.Match[str], *, sure: bool) -> tuple[int, int] | None:
    """Where the secret stands, if what follows the word is one: `found` as by :data:`VALUE`."""
    group = next(name for name in ("quoted", "bold", "bare") if found[name] is not None)
    end = found.start()
    start, over = found.span(group)
    value = reading.text[start:over]
    says = found["says"].strip()
    if group == "bare":
        before = reading.text[max(0, end - 60) : start]
        value = _trimmed(_whole(value, before, sure=sure), before)
    assigned = says in ASSIGNED
    if len(value) < LEAST or NOTHING.match(value.lower()) is not None:
        return None
    if not sure:
        code = group == "bare" and PROGRAM.fullmatch(value.lower()) and not drawn(value)
        right = says not in BARELY[1:] and not code and random(value)
    elif "\n" in found["says"]:
        right = secret(value) and _alone(reading, end, start + len(value))
    elif group != "bare":
        right = assigned or (strong(value) if says in BARELY[1:] else mixed(value))
        right = right and not (" " in value and PROSE.search(value.lower()) is not None)
    elif says in BARELY and found["says"] != "\t":
        right = strong(value) or (says == "" and mixed(value) and _told(reading, end))
    else:
        right = _stands(reading, found, value)
    return (start, start + len(value)) if right else None


def _whole(value: str, before: str, *, sure: bool) -> str:
    """`value` with the marks in it, if it reads as one secret; else what stands before them."""
    head = PARTING.split(value, maxsplit=1)[0]
    if head == value or not sure or NOTHING.match(head.lower()) is not None:
        return head
    rest = value[len(head) :]
    # What was opened is closed here: code, templates, tags.
    closed = any(begin in before + head + rest and end in rest for begin, end in ("{}", "<>"))
    if closed or "(" in rest or (")" in rest and CALL.search(before) is not None):
        return head
    if len(head) >= LEAST and mixed(head):
        return value
    signs = (str.isdigit, str.isupper, str.islower)
    return value if mixed(head) and all(any(map(sign, value)) for sign in signs) else head


def _trimmed(value: str, before: str) -> str:
    """`value` without what a sentence, a tag or a query writes behind it."""
    if "?" in before or "&" in before:
        value = value.split("&", 1)[0]
    kept = value.rstrip(".,:?*)]_\\")
    return kept.rstrip("!") if kept.rstrip("!").isalpha() else kept


def _stands(reading: Reading, found: re.Match[str], value: str) -> bool:
    """Whether a value without quotes is a secret, and neither code nor a word of a sentence."""
    lower = value.lower()
    if PROGRAM.fullmatch(lower) or NAMED.fullmatch(lower):
        return False
    if found["says"].strip() not in ASSIGNED or mixed(value):
        return mixed(value)
    if found["says"] == " = " or found["rest"].startswith("."):
        return False
    # In a sentence the word is followed by others.
    over = found.start("bare") + len(value)
    rest = reading.folded[over : over + 3].lstrip(".!,;\"'`*)")
    first = reading.folded[max(0, found.start() - 20) : found.start()]
    natural = first.endswith(("secret", "parola", "ordine", "pass"))
    return (rest[:1] in ("", "\n", "<", "&", "}", "|", "]", ":") or found["says"] == "=") and not (
        natural and found["says"] != "=" and value.isalpha()
    )


def _alone(reading: Reading, end: int, over: int) -> bool:
    """Whether a value that ends at `over` has a line of its own, below the word for it."""
    behind = reading.folded[over : over + 2].lstrip(".!,;\"'`*)")
    return behind[:1] in ("", "\r", "\n", "<", "}", "]") and (
        CONDITION.search(reading.before(end, 60)) is None
    )


def _told(reading: Reading, end: int) -> bool:
    """Whether a value that merely follows its word is one: in a command, or behind a login."""
    before = reading.before(end, 60)
    return re.search(r"(?:^|\s)--?[\w-]{2,30}\Z", before) is not None or (
        LOGIN.search(before) is not None
    )


def drawn(value: str) -> bool:
    """Whether `value` is made of no names: capitals, small letters and digits change too often."""
    said = WORDS.findall(value)
    changes = sum(map(len, said)) < SHORTEST_WORDS * len(said)
    return changes and any(map(str.isupper, value)) and any(map(str.islower, value))


def mixed(value: str) -> bool:
    """Whether `value` is no word: it has a digit, or a mark that words do not have."""
    return any(c.isdigit() or c in MARKS for c in value)


def strong(value: str) -> bool:
    """Whether `value` has small letters, digits and marks together, as passwords do."""
    return STRONG.match(value) is not None and NOTHING.match(value.lower()) is None


def secret(value: str) -> bool:
    """Whether `value` is a password where one stands: no word, no code, no mark of none."""
    lower = value.lower()
    return mixed(value) and not (NOTHING.match(lower) or PROGRAM.fullmatch(lower) or "(" in value)


def random(value: str) -> bool:
    """Whether `value` looks drawn by chance: long, of letters and digits, few of them alike."""
    if len(value) < LEAST_LIKELY or " " in value or value.count(".") > 2:
        return False
    letters = sum(c.isalpha() for c in value)
    digits = sum(c.isdigit() for c in value)
    return letters > 0 and digits > 1 and len(set(value)) >= 8 and "://" not in value
