"""Credentials by the forms that vendors publish, and private keys.

What only words call a password or a token is :mod:`~emafusion.protect.recognisers.passwords`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from emafusion.protect.entities import Entity
from emafusion.protect.recognisers.reading import APART, Reading

FORMS = {
    "AKIA": r"AKIA[A-Z0-9]{16}",
    "ASIA": r"ASIA[A-Z0-9]{16}",
    "ghp_": r"ghp_[A-Za-z0-9]{30,255}",
    "gho_": r"gho_[A-Za-z0-9]{30,255}",
    "ghu_": r"ghu_[A-Za-z0-9]{30,255}",
    "ghs_": r"ghs_[A-Za-z0-9]{30,255}",
    "ghr_": r"ghr_[A-Za-z0-9]{30,255}",
    "github_pat_": r"github_pat_\w{22,255}",
    "glpat-": r"glpat-[\w-]{20,100}",
    "xox": r"xox[abeoprs]-[\w-]{10,250}",
    "xapp-": r"xapp-[\w-]{10,250}",
    "hooks.slack.com/": r"(?<=hooks\.slack\.com/services/)T\w{6,14}/B\w{6,14}/\w{16,40}",
    "sk-": r"sk-(?=[\w-]{0,60}\d)(?=[\w-]{0,60}[A-Za-z])[\w-]{20,250}",
    "sk_live_": r"sk_live_\w{16,250}",
    "pk_live_": r"pk_live_\w{16,250}",
    "rk_live_": r"rk_live_\w{16,250}",
    "sk_test_": r"sk_test_\w{16,250}",
    "pk_test_": r"pk_test_\w{16,250}",
    "rk_test_": r"rk_test_\w{16,250}",
    "whsec_": r"whsec_[\w+/=]{16,250}",
    "AIza": r"AIza[\w-]{35}",
    "ya29.": r"ya29\.[\w.-]{20,500}",
    "GOCSPX-": r"GOCSPX-[\w-]{20,100}",
    "hf_": r"hf_[A-Za-z0-9]{30,100}",
    "npm_": r"npm_[A-Za-z0-9]{36}",
    "pypi-": r"pypi-[\w-]{16,500}",
    "SG.": r"SG\.[\w-]{16,100}\.[\w-]{16,100}",
    "dop_v1_": r"dop_v1_[0-9a-f]{64}",
    "doo_v1_": r"doo_v1_[0-9a-f]{64}",
    "shpat_": r"shpat_[0-9a-fA-F]{32}",
    "shpca_": r"shpca_[0-9a-fA-F]{32}",
    "shppa_": r"shppa_[0-9a-fA-F]{32}",
    "shpss_": r"shpss_[0-9a-fA-F]{32}",
    "gsk_": r"gsk_[A-Za-z0-9]{40,80}",
    "xai-": r"xai-[A-Za-z0-9]{40,120}",
    "r8_": r"r8_[A-Za-z0-9]{37}",
    "dapi": r"dapi[0-9a-f]{32}(?:-\d)?",
    "hvs.": r"hvs\.[\w-]{20,250}",
    "sntrys_": r"sntrys_[\w+/=-]{30,500}",
    "lin_api_": r"lin_api_[A-Za-z0-9]{30,80}",
    "NRAK-": r"NRAK-[A-Z0-9]{27}",
    "AC": r"AC[0-9a-f]{32}",
    "SK": r"SK[0-9a-f]{32}",
    "eyJ": r"eyJ[\w-]{8,4000}\.[\w-]{8,8000}\.[\w-]{0,2000}",
    "AccountKey=": r"AccountKey=[A-Za-z0-9+/=]{40,120}",
    "sq0": r"sq0(?:atp|csp|idp)-[\w-]{20,60}",
    "EAAA": r"EAAA[\w-]{56,70}",
    "EAAC": r"EAAC[A-Za-z0-9]{30,250}",
    "dckr_pat_": r"dckr_pat_[\w-]{24,60}",
    "ntn_": r"ntn_[A-Za-z0-9]{40,60}",
    "secret_": r"secret_[A-Za-z0-9]{40,60}",
    "figd_": r"figd_[\w-]{36,60}",
    "pat": r"pat[A-Za-z0-9]{14}\.[0-9a-f]{64}",
    "PMAK-": r"PMAK-[0-9a-f]{24}-[0-9a-f]{34}",
    "ATATT3": r"ATATT3[\w=-]{40,250}",
    "ATCTT3": r"ATCTT3[\w=-]{40,250}",
    "ATBB": r"ATBB[A-Za-z0-9]{28,40}",
    "glsa_": r"glsa_[A-Za-z0-9]{32}_[0-9a-fA-F]{8}",
    "glc_": r"glc_[A-Za-z0-9+/=]{32,400}",
    "sbp_": r"sbp_[0-9a-f]{40}",
    "pscale_": r"pscale_(?:tkn|pw|oauth)_[\w.-]{32,64}",
    "pplx-": r"pplx-[A-Za-z0-9]{40,60}",
    "AGE-SECRET-KEY-": r"AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}",
    "dp.": r"dp\.(?:pt|st|ct|sa|scim|audit)\.[\w.-]{40,64}",
    "pul-": r"pul-[0-9a-f]{40}",
    "key-": r"key-[0-9a-f]{32}",
    "PRIVATE-TOKEN": r"(?<=PRIVATE-TOKEN: )[\w-]{20,60}",
    "rubygems_": r"rubygems_[0-9a-f]{48}",
    "atlasv1": r"[A-Za-z0-9]{14}\.atlasv1\.[\w=-]{60,70}",
    "sgp_": r"sgp_[\w]{40,70}",
    "nvapi-": r"nvapi-[\w-]{60,70}",
    "tvly-": r"tvly-[\w-]{20,40}",
    "fw_": r"fw_[A-Za-z0-9]{22,40}",
}
"""Forms of keys, by what must be in a text that holds one; all but a few begin with it."""
ELSEWHERE = {
    ":AA": r"\d{8,10}:AA[\w-]{33}",
    "8Q~": r"[\w.~-]{3}8Q~[\w.~-]{31,37}",
    "sig=": r"(?<=[?&;]sig=)[A-Za-z0-9%/+=]{40,100}",
    "-us": r"[0-9a-f]{32}-us\d{1,2}",
    "discord": r"(?<=/)\d{17,20}/[\w-]{60,90}",
}
"""Forms that hold their trace within."""
DISCORD = re.compile(
    r"(?<![\w.-])[MNO][A-Za-z0-9]{22,27}\.[\w-]{6,7}\.[\w-]{27,40}(?![\w-])", re.ASCII
)


def _compiled(form: str) -> re.Pattern[str]:
    # Letters of other languages may stand right before a key and behind it.
    return re.compile(rf"(?<![0-9A-Za-z])(?:{form})(?![0-9A-Za-z])", re.ASCII)


VENDORS = [(trace, "".join(c for c in trace[:2] if c.isalpha()).lower(), _compiled(form))
           for trace, form in FORMS.items()]  # fmt: skip
WITHIN = [(trace, _compiled(form)) for trace, form in ELSEWHERE.items()]
PEM = re.compile(r"-----(?P<side>BEGIN|END) [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----")
PEM_LONGEST = 20_000
_AROUND = r"[\s>|#*\"'`,;:+.\\-]{0,40}"
"""What stands around the lines of a key in mails, diffs and programs."""
HEADERS = re.compile(rf"(?:{_AROUND}[A-Z][A-Za-z-]{{2,24}}: [^\n\x00]{{0,200}}(?=\n)){{0,5}}")
LINE = re.compile(
    rf"(?P<around>{_AROUND})(?P<said>[A-Za-z0-9+/=]+)(?P<alone>(?={_AROUND}(?:\n|\Z)))?"
)
BESIDE = re.compile(
    r"(?:[^\n\x00]{0,120}\n){0,3}?(?P<before>[^\n\x00]{0,120}?)(?<![A-Za-z0-9+/=])"
    r"(?P<said>[A-Za-z0-9+/=]{40,})(?P<behind>[^\n\x00]{0,40})"
)
"""A line of a key with more in its line: what `grep`, logs and listings write there."""
RUNS = re.compile(r"[A-Za-z0-9+/=]+")
COUNTED = re.compile(r"\s*\d+")
NEAR = 320
"""Characters behind a line in which the last one is looked for."""
RUN = re.compile(r"[A-Za-z0-9+/=]{32}")
"""What no text between a head and a foot has that only tells of them."""
LEAST_RUN = 16
"""Characters of what is of a key though more stands in its line."""


def keys(reading: Reading) -> Iterator[Entity]:
    """Keys and tokens of known forms, and private keys in PEM, cut off ones too."""
    text, heads = reading.text, reading.heads
    for trace, head, form in VENDORS:
        if head in heads and trace in text:
            yield from _found(form, text)
    for trace, form in WITHIN:
        if trace in text:
            yield from _found(form, text)
    if text.count(".") >= 2 and heads.intersection("mno"):
        yield from _found(DISCORD, text)
    if "-----BEGIN " in text:
        yield from _pems(text)


def _found(form: re.Pattern[str], text: str) -> Iterator[Entity]:
    for found in form.finditer(text):
        yield Entity(kind="KEY", start=found.start(), end=found.end(), score=1.0)


def _pems(text: str) -> Iterator[Entity]:
    """Each from its head to its foot; one without a foot to the last of its lines."""
    marks = [*PEM.finditer(text), None]
    for opened, mark in pairwise(marks):
        if opened is None or opened["side"] == "END":
            continue
        start, over = opened.end(), len(text) if mark is None else mark.start()
        end = _last(text, start, over)
        if mark is not None and mark["side"] == "END" and over - start <= PEM_LONGEST:
            whole = end > start and text[end:over].isspace()
            if whole or (APART not in text[start:over] and RUN.search(text, start, over)):
                end = mark.end()
        # A head that nothing of a key follows is a mention of one.
        if end > start:
            yield Entity(kind="KEY", start=opened.start(), end=end, score=1.0)


def _last(text: str, start: int, over: int) -> int:
    """Where the last line of a key ends whose head ends at `start`; `start` if there is none."""
    headers = HEADERS.match(text, start, over)
    end = start
    line = LINE.match(text, start if headers is None else headers.end(), over)
    while line is not None:
        said, alone = line["said"], line["alone"] is not None and "\n" in line["around"]
        if (alone and end > start) or _drawn(said, 1 if alone else LEAST_RUN):
            end = line.end("said")
        elif not said.isdigit():  # which is the line's number
            break
        line = LINE.match(text, line.end(), over)
    return _beside(text, end, over)


def _beside(text: str, end: int, over: int) -> int:
    """Where the last line of a key ends of which lines to `end` were read, whatever is beside it.

    A line or two of another may stand between, and its last is short: it is known by what stands
    around it, as around the one before.
    """
    line, found = None, BESIDE.match(text, end, over)
    while found is not None and _dense(found["said"]):
        line, end = found, found.end("said")
        found = BESIDE.match(text, end, over)
    return end if line is None else _short(text, line, over)


def _short(text: str, line: re.Match[str], over: int) -> int:
    """Where the short line of a key behind `line` ends, within three; where `line` does if none."""
    place = end = line.end("said")
    like = COUNTED.sub("0", line["before"]), line["behind"].strip()
    for n, row in enumerate(text[end : min(over, end + NEAR)].split("\n")[:4]):
        for said in RUNS.finditer(row) if n else ():
            last = said.group().endswith("=") or _drawn(said.group(), 1)
            around = COUNTED.sub("0", row[: said.start()]), row[said.end() :].strip()
            if last and around == like:
                return place + said.end()
        place += len(row) + 1
    return end


def _dense(said: str) -> bool:
    """Whether `said` is drawn by chance of capitals and small letters alike, as no path is."""
    least = len(said) // 6
    return all(sum(map(sign, said)) >= least for sign in (str.isupper, str.islower)) and any(
        map(str.isdigit, said)
    )


def _drawn(said: str, least: int) -> bool:
    """Whether `said` looks drawn by chance, of `least` letters and digits or more."""
    capitals, small = sum(map(str.isupper, said)), sum(map(str.islower, said))
    digits = sum(map(str.isdigit, said))
    return len(said) >= least and small > 0 and capitals > (digits == 0)
