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

from emafusion.judge.vocabulary import UNSPACED, fold, spelt, vocabulary

LONGEST = 20_000
"""Characters of one decoded passage that are read."""
LAYOUT = str.maketrans("\n\r\t", "   ")
ANSI = re.compile(r"(?:\x1b|\\x1b|\\033|\\e|\\u001b)\[[0-9;?]*[A-Za-z]|\x1b.?")
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
FIGURED = re.compile(r"[0-9@$!|][A-Za-z]")
LEETED = re.compile(r"[A-Za-z][0-9@$!|]{1,3}[A-Za-z]")
SPACED = re.compile(
    r"(?<![^\W_])(?:[^\W\d_][ \t._*\-·•|/,~]{1,3}){7,}[^\W\d_](?![^\W_])"
    r"|(?<![^\W_])(?:[^\W\d_]\n){7,}[^\W\d_](?![^\W_])"
)
LONE = re.compile(r"(?:[ \t._*\-·•|/,~\n][^\W\d_]){3}(?![^\W_])")
ESCAPED = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u\{?([0-9a-fA-F]{4,6})\}?|([0-7]{3}))")
QUOTED = re.compile(r"=([0-9A-F]{2})")
CODES = re.compile(r"(?:\b(?:0x)?[0-9a-fA-F]{2,3}\b[\s,:;]{1,2}){7,}(?:0x)?[0-9a-fA-F]{2,3}\b")
BITS = re.compile(r"(?:\b[01]{7,8}\b\s*){6,}|[01]{48,}")
PACKED = re.compile(r"[A-Za-z0-9+/_\-]{16,}={0,2}(?:\s{1,3}[A-Za-z0-9+/_\-]{16,}={0,2})*")
BASE32 = re.compile(r"[A-Z2-7]{24,}={0,6}")
ASCII85 = re.compile(r"<~([!-u\s]{10,}?)~>")
TAG = re.compile(r"(?<=\w)(?:<[^<>]{0,60}>){1,8}(?=\w)")
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
    if "\x1b" in text or "\\" in text:
        text = ANSI.sub("", text)
    if text.isascii() and text.translate(LAYOUT).isprintable():
        return text
    return UNSEEN.sub("", text)


def smuggled(text: str) -> str:
    """What `text` says in characters that are not seen; empty where it says nothing so."""
    if text.isascii() or not RUN_UNSEEN.search(text):
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


def views(text: str) -> Iterator[str]:
    """What `text` (nothing unseen in it) may say to one who undoes what was done to it."""
    for undo in DECODING:
        for found in undo(text):
            yield found[:LONGEST]


def shapes(text: str) -> Iterator[str]:
    """What `text` looks like to one who sees through odd letters and odd gaps."""
    for undo in RESHAPING:
        for found in undo(text):
            yield found[:LONGEST]


def _look_alikes(text: str) -> Iterator[str]:
    if text.isascii():
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
        yield from _spaced(flat)
    if max(text) >= "\u2801" and re.search("[⠁-⠿]{3}", text):
        yield text.translate(BRAILLE)


def _spaced(text: str) -> Iterator[str]:
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


def _run_on(text: str) -> Iterator[str]:
    """Words run together, by capitals, underlines, hyphens or by nothing."""
    found = re.findall(r"[A-Za-z]{16,400}|[A-Za-z]+(?:[_\-.][A-Za-z]+){3,60}", _long_words(text))
    if found:
        yield " . ".join(spelt(re.sub(r"[_\-.]", " ", run).lower()) for run in found[:200])


def _leet(text: str) -> Iterator[str]:
    if len(FIGURED.findall(text)) < 4:
        return
    lines = [line for line in text.lower().split("\n") if LEETED.search(line)]
    leeted = "\n".join(lines)
    if len(LEETED.findall(leeted)) >= 3:
        yield leeted.translate(LEET)
        yield leeted.translate(LEET_L)


def _entities(text: str) -> Iterator[str]:
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
    if "*" in text or "`" in text:
        bare = re.sub(r"(?<=[A-Za-z])[*`~]{1,3}(?=[A-Za-z])", "", text)
        if bare != text:
            yield bare
    if "+" in text and re.search(r"[\"'] ?\+ ?[\"']", text):
        yield re.sub(r"[\"'] ?\+ ?[\"']", "", text)


def _escaped(match: re.Match[str]) -> str:
    code = int(match[3], 8) if match[3] else int(match[1] or match[2], 16)
    return chr(code) if code < 0x11_0000 and not 0xD800 <= code < 0xE000 else "?"


def _numbers(text: str) -> Iterator[str]:
    binary = text.count("0") + text.count("1")
    digits = binary + sum(map(text.count, "23456789"))
    for passage in CODES.findall(text) if digits >= 8 else ():
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
    if "-" in text and re.search(r"(?:[.\-·–]{1,6}[ /]+){10}", text):
        yield _morse(text)


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


def _long_words(text: str) -> str:
    """The words of `text` in which something could be packed."""
    return " ".join([word for word in text.split() if len(word) >= 16])


def _packed(text: str) -> Iterator[str]:
    text = _long_words(text)
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


def _ciphered(text: str) -> Iterator[str]:
    traces = _traces()
    words = set(fold(text).translate(GAPS).split())
    counts = Counter(traces[word] for word in words & traces.keys())
    for name, count in counts.most_common(3):
        if count >= 2:
            yield CIPHERS[name](text)
        if count >= 2 and name == "backwards":
            yield _each_backwards(text)
    if not text.isascii() and UNSPACED.search(text):
        yield _backwards(text)


Undoing = tuple[Callable[[str], Iterator[str]], ...]
RESHAPING: Undoing = (_look_alikes, _spaced, _run_on, _leet)
DECODING: Undoing = (_entities, _numbers, _packed, _ciphered)
