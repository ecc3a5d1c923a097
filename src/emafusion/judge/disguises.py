"""The ways to write a text so that it is not read as it stands, undone.

Knows ciphers, codes and look-alikes; does not know what a text says. Each undoing starts only
where its traces show, takes time linear in the text, and gives nothing where nothing readable
comes out.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
import string
import unicodedata
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache

from emafusion.judge.vocabulary import UNSPACED, Reading, kinds, odd, spelt, vocabulary

LONGEST = 20_000
"""Characters of one decoded passage that are read."""
ANSI = re.compile(r"(?:\x1b|\\x1b|\\033|\\e|\\u001b)\[[0-9;?]*[A-Za-z]|\x1b.?")
ESCAPES = ("\\x1b[", "\\033[", "\\e[", "\\u001b[")
UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e"
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0"
    "\U000e0000-\U000e01ef]+"
)
TAGGED = re.compile("[\U000e0020-\U000e007e]{6,}")
SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]{4,}")
RUN_UNSEEN = re.compile(
    "[\u200b-\u200f\u2060-\u2064\ufe00-\ufe0f\ufeff\u180e\U000e0020-\U000e01ef]{4}"
)
BLANKS = re.compile("[\u200b-\u200f\u2060-\u2064\ufeff\u180e]{16,}")

LATIN = str.maketrans(
    "асеорхуіјѕһԁԛԝвкмнтгпьӏαβεηικνορτυχωγδλμπσςɡɩʟɴʀʏᴀʙᴄᴅᴇꜰɢʜɪᴊᴋᴍᴏᴘǫꜱᴛᴜᴠᴡᴢɑʋǝɐɔɟƃɥᴉɾʞɯɹʇʌʍʎօսոհցձ",
    "aceopxyijshdqwbkmhtrnblabenikvoptuxwydlmnssgilnryabcdefghijkmopqstuvwzaveacfghijkmrtvwyounhgd",
)
STRANGE = re.compile("[ʰ-˿\u0250-\u02af\u0370-\u052f\u0531-\u058f\u1d00-\u1d7fǝƃǫꜱ]")
BADGES = {
    **{0x1F150 + n: letter for n, letter in enumerate(string.ascii_lowercase)},
    **{0x1F170 + n: letter for n, letter in enumerate(string.ascii_lowercase)},
    **{0x1F1E6 + n: letter for n, letter in enumerate(string.ascii_lowercase)},
}
"""Letters in black circles, in black squares, and those of flags."""
BRAILLE = str.maketrans("⠁⠃⠉⠙⠑⠋⠛⠓⠊⠚⠅⠇⠍⠝⠕⠏⠟⠗⠎⠞⠥⠧⠺⠭⠽⠵⠀", string.ascii_lowercase + " ")
MORSE = {
    code: letter
    for letter, code in zip(
        string.ascii_lowercase + "0123456789",
        [
            ".-",
            "-...",
            "-.-.",
            "-..",
            ".",
            "..-.",
            "--.",
            "....",
            "..",
            ".---",
            "-.-",
            ".-..",
            "--",
            "-.",
            "---",
            ".--.",
            "--.-",
            ".-.",
            "...",
            "-",
            "..-",
            "...-",
            ".--",
            "-..-",
            "-.--",
            "--..",
            "-----",
            ".----",
            "..---",
            "...--",
            "....-",
            ".....",
            "-....",
            "--...",
            "---..",
            "----.",
        ],
        strict=True,
    )
}
LEET = str.maketrans("430157@$8!|69+2€£", "aeoistasbiigqtzel")
LEET_L = str.maketrans("430157@$8!|69+2€£", "aeolstasbllggtzel")
LEETED = re.compile(r"[A-Za-z][0-9@$!|]{1,3}[A-Za-z]")
SPACED = re.compile(
    r"(?<![^\W_])(?:[^\W\d_][ \t._*\-·•|/,~]{1,3}){7,}[^\W\d_](?![^\W_])"
    r"|(?<![^\W_])(?:[^\W\d_]\n){7,}[^\W\d_](?![^\W_])"
)
LONE = re.compile(r"[ \t._*\-·•|/,~\n][^\W\d_](?:[ \t._*\-·•|/,~\n][^\W\d_]){2}(?![^\W_])")
"""Three letters apart. Like others here, it begins with a set of characters, soon found."""
ESCAPED = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u\{?([0-9a-fA-F]{4,6})\}?|([0-7]{3}))")
QUOTED = re.compile(r"=([0-9A-F]{2})")
CODES = re.compile(
    r"[0-9a-fA-F](?<!\w.)(?:(?<=0)x[0-9a-fA-F]{2,3}|[0-9a-fA-F]{1,2})\b[\s,:;]{1,2}"
    r"(?:\b(?:0x)?[0-9a-fA-F]{2,3}\b[\s,:;]{1,2}){6,}(?:0x)?[0-9a-fA-F]{2,3}\b"
)
CODED = kinds(".", ("h", string.hexdigits), (" ", string.whitespace + "\x1c\x1d\x1e\x1f,:;?"))
APART = kinds(".", ("a", string.ascii_letters), (" ", " \t._*-|/,~\n?"))
DASHED = kinds(".", ("-", ".-?"))
FIGURES = kinds(".", ("1", "0123456789@$!|"), ("a", string.ascii_letters))
OTHERS = bytes(set(range(256)) - set(string.digits.encode()))
"""Kinds of characters, by which a text shows soon that a pattern is not in it."""
DASHES = re.compile(r"[.\-·–][.\-·–]{0,5}[ /]+(?:[.\-·–]{1,6}[ /]+){9}")
STARRED = re.compile(r"[*`~](?<=[A-Za-z].)[*`~]{0,2}(?=[A-Za-z])")
BITS = re.compile(r"(?:\b[01]{7,8}\b\s*){6,}|[01]{48,}")
PACKED = re.compile(r"[A-Za-z0-9+/_\-]{16,}={0,2}(?:\s{1,3}[A-Za-z0-9+/_\-]{16,}={0,2})*")
BASE32 = re.compile(r"[A-Z2-7]{24,}={0,6}")
ASCII85 = re.compile(r"<~([!-u\s]{10,}?)~>")
TAG = re.compile(r"<(?<=\w<)[^<>]{0,60}>(?:<[^<>]{0,60}>){0,7}(?=\w)")
PRESUMED = [
    "answer",
    "response",
    "judge",
    "score",
    "choose",
    "ignore",
    "instructions",
    "rate",
    "evaluator",
    "grader",
    "highest",
    "correct",
    "select",
    "prefer",
    "instruction",
    "previous",
    "verdict",
    "maximum",
    "system",
    "please",
]
"""Words that a ciphered advance is likely to have: they show which cipher it is."""


def visible(text: str) -> str:
    """`text` without terminal escapes and characters that are not seen."""
    if "\x1b" in text or ("\\" in text and any(trace in text for trace in ESCAPES)):
        text = ANSI.sub("", text)
    return UNSEEN.sub("", text) if UNSEEN.search(odd(text)) else text


def smuggled(text: str) -> str:
    """What `text` says in characters that are not seen; empty where it says nothing so."""
    if text.isascii() or not RUN_UNSEEN.search(odd(text)) or not RUN_UNSEEN.search(text):
        return ""
    parts = ["".join(chr(ord(c) - 0xE0000) for c in found) for found in TAGGED.findall(text)]
    for found in SELECTORS.findall(text):
        codes = (ord(c) - (0xFE00 if c < "\ufe10" else 0xE0100 - 16) for c in found)
        parts.append(bytes(code & 0xFF for code in codes).decode(errors="replace"))
    parts += (_blank(found) for found in BLANKS.findall(text))
    return " ".join(parts)


def _blank(found: str) -> str:
    kinds = sorted(set(found))[:2]
    for zero in kinds:
        bits = "".join("0" if c == zero else "1" for c in found)
        said = _characters([int(bits[i : i + 8], 2) for i in range(0, len(bits) - 7, 8)])
        if said:
            return said
    return "?"


def views(read: Reading) -> Iterator[str]:
    """What a text (nothing unseen in it) may say to one who undoes what was done to it."""
    for undo in DECODING:
        for found in undo(read):
            yield found[:LONGEST]


def shapes(read: Reading) -> Iterator[str]:
    """What a text looks like to one who sees through odd letters and odd gaps."""
    for undo in RESHAPING:
        for found in undo(read):
            yield found[:LONGEST]


def _look_alikes(read: Reading) -> Iterator[str]:
    text = read.text
    if text.isascii() or all(map(_itself, set(read.odd))):
        return
    badged = text.translate(BADGES)
    flat = unicodedata.normalize("NFKC", badged)
    if STRANGE.search(flat):
        latin = flat.casefold().translate(LATIN)
        yield latin
        if any(c in flat for c in "ǝɐɹʇɥ"):
            yield latin.replace("u", "\0").replace("n", "u").replace("\0", "n")[::-1]
            yield latin[::-1]
    if badged != text:
        yield flat
        # Flag letters stand apart lest they become flags.
        yield from _apart(flat)
    if max(text) >= "\u2801" and re.search("[⠁-⠿]{3}", text):
        yield text.translate(BRAILLE)


@lru_cache(maxsize=4096)
def _itself(character: str) -> bool:
    """Whether a character looks like no other script's letter, nor makes one with its neighbour."""
    if ord(character) in BADGES or ord(character) in BRAILLE:
        return False
    compatible = unicodedata.normalize("NFKC", character)
    marked = any(unicodedata.category(c).startswith("M") for c in compatible)
    return not marked and not STRANGE.search(compatible)


def _spaced(read: Reading) -> Iterator[str]:
    # What is not ASCII is drawn as a gap, which it may be unless it is a letter.
    possible = not read.inert or b" a a a" in read.drawn(APART)
    return _apart(read.text) if possible else iter(())


def _apart(text: str) -> Iterator[str]:
    if not LONE.search(text):
        return
    found = SPACED.findall(text)
    # Between words there is more than between letters, or nothing can be told.
    for passage in found:
        wide = re.sub(
            r"(?<=\S) ?[._*\-·•|/,~]? ?(?=\S)|\n", "", re.sub(r" {2,}| / ", "\0", passage)
        )
        yield wide.replace("\0", " ")
        yield spelt(re.sub(r"[\W_]+", "", passage).lower())


def _run_on(read: Reading) -> Iterator[str]:
    """Words run together, by capitals, underlines, hyphens or by nothing."""
    found = re.findall(r"[A-Za-z]{16,400}|[A-Za-z]+(?:[_\-.][A-Za-z]+){3,60}", read.long_words)
    if found:
        yield " . ".join(spelt(re.sub(r"[_\-.]", " ", run).lower()) for run in found[:200])


def _leet(read: Reading) -> Iterator[str]:
    text = read.text
    if read.drawn(FIGURES).count(b"1a") < 4:
        return
    lines = [line for line in text.lower().split("\n") if LEETED.search(line)]
    leeted = "\n".join(lines)
    if len(LEETED.findall(leeted)) >= 3:
        yield leeted.translate(LEET)
        yield leeted.translate(LEET_L)


def _entities(read: Reading) -> Iterator[str]:
    text = read.text
    if "%" in text and len(re.findall(r"%[0-9A-Fa-f]{2}", text)) >= 2:
        yield urllib.parse.unquote(text, errors="replace").replace("+", " ")
    if "&" in text and re.search(r"&#?\w{2,8};", text):
        yield html.unescape(text)
    if "\\" in text and len(ESCAPED.findall(text)) >= 3:
        yield ESCAPED.sub(_escaped, text)
    if "=" in text and len(QUOTED.findall(text)) >= 3:
        codes = QUOTED.sub(lambda m: chr(int(m[1], 16)), text)
        yield codes.encode("latin-1", "replace").decode(errors="replace")
    if "<" in text and TAG.search(text):
        yield TAG.sub("", text)
    if ("*" in text or "`" in text) and STARRED.search(text):
        yield STARRED.sub("", text)
    if "+" in text and re.search(r"[\"'] ?\+ ?[\"']", text):
        yield re.sub(r"[\"'] ?\+ ?[\"']", "", text)


def _escaped(match: re.Match[str]) -> str:
    code = int(match[3], 8) if match[3] else int(match[1] or match[2], 16)
    return chr(code) if code < 0x11_0000 and not 0xD800 <= code < 0xE000 else "?"


def _numbers(read: Reading) -> Iterator[str]:
    text = read.text
    digits = read.drawn(None, OTHERS)
    binary = digits.count(b"0") + digits.count(b"1")
    for passage in CODES.findall(text) if len(digits) >= 8 and _coded(read) else ():
        written = re.findall(r"[0-9a-fA-F]{2,3}", passage.replace("0x", ""))
        for base in (16, 10, 8):
            allowed = string.hexdigits if base == 16 else string.digits[:base]
            if all(set(word) <= set(allowed) for word in written):
                yield _characters([int(word, base) & 0xFFF for word in written])
    for passage in BITS.findall(text) if binary >= 42 else ():
        words = passage.split()
        size = len(words[0]) if len(words) > 1 else 8
        bits = "".join(words)
        yield _characters([int(bits[i : i + size], 2) for i in range(0, len(bits) - 6, size)])
    # Ten groups of dashes with nothing but blanks between are a row of dashes without them.
    bare = read.drawn(DASHED, b" /") if "-" in text else b""
    if b"-" * 10 in bare and DASHES.search(text):
        yield _morse(text)


def _coded(read: Reading) -> bool:
    """Whether there may be eight codes in a row: six of them have gaps on either side."""
    drawn = read.drawn(CODED)
    return "0x" in read.text or drawn.count(b" hh ") + drawn.count(b" hhh ") >= 3


def _morse(text: str) -> str:
    plain = text.replace("·", ".").replace("–", "-").replace("|", "/")
    words = re.split(r" {2,}| ?/ ?|\n", plain)
    return " ".join("".join(MORSE.get(code, "") for code in word.split()) for word in words)


def _characters(codes: list[int]) -> str:
    """The text of `codes`, or nothing where it is none."""
    if any(code > 0xFF for code in codes):
        return ""
    return _readable(bytes(codes))


def _readable(data: bytes) -> str:
    for encoding in ("utf-8", "utf-16"):
        try:
            said = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        shown = sum(c.isprintable() or c in "\r\n\t" for c in said)
        if said and shown >= 0.95 * len(said) and any(c.isalpha() for c in said):
            return said
    return ""


def _packed(read: Reading) -> Iterator[str]:
    text = read.long_words
    for passage in PACKED.findall(text):
        squeezed = re.sub(r"[\s=]", "", passage)
        if not (set(squeezed) & set(string.digits + "+/_-") or _mixed(squeezed)):
            continue
        yield from _unpacked(squeezed)
    for passage in BASE32.findall(text):
        yield _try(base64.b32decode, _padded(passage, 8))
    for passage in ASCII85.findall(text) if "<~" in text else ():
        yield _try(base64.a85decode, passage)


def _mixed(run: str) -> bool:
    """Whether capitals and small letters alternate as in no word."""
    return len(re.findall("[a-z][A-Z]", run)) * 8 >= len(run) or run.isupper()


def _unpacked(squeezed: str) -> Iterator[str]:
    if set(squeezed) <= set(string.hexdigits):
        yield _try(bytes.fromhex, squeezed[: len(squeezed) // 2 * 2])
    standard = squeezed.replace("-", "+").replace("_", "/")
    whole = standard[: -1 if len(standard) % 4 == 1 else None]
    said = _try(base64.b64decode, _padded(whole, 4))
    yield said or _try(base64.b64decode, _padded(_caesar(13)(whole), 4))


def _padded(code: str, size: int) -> str:
    bare = code.rstrip("=")
    return bare + "=" * (-len(bare) % size)


def _try(decode: Callable[[str], bytes], code: str) -> str:
    try:
        return _readable(decode(code))
    except (binascii.Error, ValueError):
        return ""


GAPS = str.maketrans(dict.fromkeys(string.punctuation, " "))
Cipher = Callable[[str], str]


def _caesar(shift: int) -> Cipher:
    lower, upper = string.ascii_lowercase, string.ascii_uppercase
    back = str.maketrans(
        lower + upper, lower[shift:] + lower[:shift] + upper[shift:] + upper[:shift]
    )
    return lambda text: text.translate(back)


def _atbash(text: str) -> str:
    lower, upper = string.ascii_lowercase, string.ascii_uppercase
    return text.translate(str.maketrans(lower + upper, lower[::-1] + upper[::-1]))


def _backwards(text: str) -> str:
    return "\n".join(line[::-1] for line in text.split("\n")[::-1])


def _each_backwards(text: str) -> str:
    return re.sub(r"\w+", lambda m: m[0][::-1], text)


CIPHERS: dict[str, Cipher] = {
    **{f"caesar {shift}": _caesar(shift) for shift in range(1, 26)},
    "atbash": _atbash,
    "backwards": _backwards,
}


@lru_cache(maxsize=1)
def _traces() -> dict[str, str]:
    """The presumed words as each cipher writes them → the cipher."""
    written: dict[str, str] = {}
    for name, cipher in CIPHERS.items():
        # To undo a shift is to shift by the rest; the other ciphers undo themselves.
        undoing = f"caesar {26 - int(name[7:])}" if name.startswith("caesar") else name
        for word in PRESUMED:
            written.setdefault(cipher(word), undoing)
    words = set(vocabulary().whole).union(*vocabulary().begun.values())
    for word in words:
        if len(word) >= 5 and word[::-1] not in words:
            written.setdefault(word[::-1], "backwards")
    for word in PRESUMED:
        written.pop(word, None)
    return written


def _ciphered(read: Reading) -> Iterator[str]:
    traces = _traces()
    text = read.text
    # In plain text a trace is a run of a–z, and one alone shows no cipher.
    # The traces are thousands, the text's words are few: it is these that are gone through.
    if not read.plain or len(traces.keys() & read.known) >= 2:
        words = set(read.folded.translate(GAPS).split())
        counts = Counter(traces[word] for word in words & traces.keys())
        for name, count in counts.most_common(3):
            if count >= 2:
                yield CIPHERS[name](text)
            if count >= 2 and name == "backwards":
                yield _each_backwards(text)
    if not text.isascii() and UNSPACED.search(read.odd):
        yield _backwards(text)


Undoing = tuple[Callable[[Reading], Iterator[str]], ...]
RESHAPING: Undoing = (_look_alikes, _spaced, _run_on, _leet)
DECODING: Undoing = (_entities, _numbers, _packed, _ciphered)
