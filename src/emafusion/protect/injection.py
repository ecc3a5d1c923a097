"""How far a text that a tool brought reads like orders to the model that reads it.

A score by what such texts say, in six languages; what decides is the policy. Knows neither models
nor requests. A text that gives no orders in words is not found out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

LONGEST = 20_000
"""Characters read of a text, half of them from its end."""
_PRIOR = r"(?:all |any |the |your |my |of |these |those |every )*"
OVERRIDE = re.compile(
    rf"\b(?:ignore|disregard|forget|override|bypass|do not follow|stop following) {_PRIOR}"
    r"(?:previous|prior|above|earlier|preceding|former|original|existing|system|safety|other)"
    r"[^.\n]{0,20}\b(?:instruction|prompt|rule|direction|order|message|context|guideline|task)"
    r"|\b(?:ignorier|vergiss|missachte)\w*[^.\n]{0,30}\b(?:anweisung|regel|vorgabe)"
    r"|\b(?:ignore[sz]?|oublie[sz]?)[^.\n]{0,30}\b(?:instructions|consignes|r[èe]gles)"
    r"|\b(?:ignora|olvida)[^.\n]{0,30}\b(?:instrucciones|reglas|[óo]rdenes)"
    r"|\b(?:ignora|dimentica)[^.\n]{0,30}\b(?:istruzioni|regole)"
    r"|\b(?:ignore|esque[çc]a)[^.\n]{0,30}\b(?:instru[çc][õo]es|regras)"
)
ROLE = re.compile(
    r"<\|[a-z_]{2,24}\|>|\[/?inst\]|<</?sys>>|<(?:start|end)_of_turn>|</?(?:system|assistant)>"
    r"|^[ \t>*#]*\[?(?:system|developer|admin)(?: (?:prompt|message|note|override|update))?\]? ?:"
    r"|\bnew (?:system )?(?:instructions?|task|objective)s? ?:"
    r"|\"role\" ?: ?\"(?:system|developer)\"",
    re.MULTILINE,
)
TO_MODEL = re.compile(
    r"\b(?:you are now|from now on,? you|act as|pretend (?:to be|you)|you must now|as an ai"
    r"|(?:dear |attention,? |note to |instructions? (?:for|to) )(?:the )?(?:ai|llm|assistant|model"
    r"|agent|chatbot|language model)s?\b|if you are an? (?:ai|llm|assistant|language model|agent))"
)
SECRETLY = re.compile(
    r"\b(?:do not|don'?t|never|without) (?:tell|telling|inform|informing|mention|mentioning|reveal"
    r"|alert|alerting|show|notify|notifying)[^.\n]{0,24}\b(?:user|human|anyone|this|person|owner)"
)
CARRY_OFF = re.compile(
    r"\b(?:send|forward|post|email|e-mail|upload|transmit|leak|exfiltrate|append|encode)\b"
    r"[^.\n]{0,80}"
    r"\b(?:to|at|in) (?:https?://|[\w.+-]+@|the (?:url|address|link)|this (?:url|address|link))"
    r"|\b(?:reveal|print|repeat|output|show|leak|disclose)[^.\n]{0,24}"
    r"\b(?:system prompt|your (?:initial |original )?(?:instructions|prompt)"
    r"|api keys?|passwords?|credentials|secrets)"
)
ACT = re.compile(
    r"\b(?:call|invoke|use|run|execute)[^.\n]{0,24}\b(?:the |this |your )?(?:\w+ )?(?:tool|function"
    r"|command|shell)\b"
)
TAGS = re.compile("[\U000e0020-\U000e007e]{4,}|[\u200b-\u200f\u2060-\u2064]{8,}")
SIGNS = (
    (OVERRIDE, 0.75),
    (ROLE, 0.5),
    (TO_MODEL, 0.4),
    (SECRETLY, 0.5),
    (CARRY_OFF, 0.45),
    (ACT, 0.15),
    (TAGS, 0.6),
)
"""What such texts say, and the weight of each: together they count as independent signs."""


def score(text: str) -> float:
    """How far `text` reads like orders to a model, from 0 to 1."""
    if len(text) > LONGEST:
        text = f"{text[: LONGEST // 2]}\n{text[-LONGEST // 2 :]}"
    folded = " ".join(text.lower().split(" "))
    innocent = 1.0
    for sign, weight in SIGNS:
        if sign.search(folded) is not None:
            innocent *= 1.0 - weight
    return round(1.0 - innocent, 4)


def highest(found: Iterable[str]) -> float:
    """The highest score of the texts `found`, 0 where there are none."""
    return max(map(score, found), default=0.0)
