"""Text from elsewhere, made fit for a message: short, one line, without anything like a key."""

from __future__ import annotations

import re

LONGEST = 300

_KEYS = re.compile(
    r"""(?ix)
      (?<![a-z0-9]) (?: bearer | basic ) \s+ \S+
    | (?<![a-z0-9]) (?: sk | pk | rk | ak | gsk | xai | key | api | hf | ghp | aiza | akia )
      (?= [a-z_\-]* [0-9*] ) [a-z0-9_\-*]{8,}
    | (?<![a-z0-9]) (?= [a-z0-9_\-]* [0-9] ) (?= [a-z0-9_\-]* [a-z] ) [a-z0-9_\-]{32,}
    | (?<= :// ) [^/\s:@]+ : [^/\s@]+ @
    """
)


def redacted(text: str, *secrets: str | None) -> str:
    """`text` on one line, at most 300 characters, key-looking strings and `secrets` replaced."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "[redacted]")
    text = " ".join(_KEYS.sub("[redacted]", text).split())
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
