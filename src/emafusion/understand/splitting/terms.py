"""Words around a list that bind its answers: with them a prompt is not the sum of its parts.

Knows that such words stand there; not what they ask for. A prompt with terms is left whole: no part
could carry them, and nobody's instruction may be lost.
"""

from __future__ import annotations

import re
from typing import Final

from emafusion.types import Split

TERMS: Final = re.compile(
    r"\b(?:only|just|never|do(?:es)? ?n[o']?t|don['’]t|not|except|without|instead|skip|one of"
    r"|json|xml|yaml|csv|html|latex|markdown|table|poem|rhyme|haiku|paragraph|essay|code"
    r"|words?|sentences?|lines?|characters?|briefly?|concise(?:ly)?|short|shortly|long"
    r"|detail(?:ed)?|explain|explanations?|style|tone|formal|informal|simple|simply|voice|speak"
    r"|pretend|imagine|assume|given|suppose|role|act as|you are|as an?|like an?|yes or no|total|sum"
    r"|combined?|together|compare|rank|sort|summar\w+|translat\w+|format(?:ted)?"
    r"|repl(?:y|ies) to (?:this|the|my)|respond to (?:this|the|my)|e-?mail|letter|dear \w+,"
    r"|english|german|french|spanish|italian|portuguese|dutch|russian|chinese|japanese|korean"
    r"|arabic|hindi|turkish|polish|latin|language|deutsch|français|español)\b",
    re.IGNORECASE,
)
JSON: Final = re.compile(r"[\[{]")
FOR_ALL: Final = re.compile(
    r"\b(?:both|all|each|every|these|those|the) (?:\w+ ){0,3}?(?:questions?|answers?|parts?|tasks?"
    r"|items?|problems?)\b",
    re.IGNORECASE,
)
ANNOUNCED: Final = re.compile(
    r"\b(?:one after (?:the other|another)|in (?:the )?order|separately"
    r"|(?:as|in) a (?:numbered )?list|(?:together|all) with their numbers?|not related|unrelated"
    r"|no hurry|if you don['’]t mind)\b",
    re.IGNORECASE,
)
"""What speaks of the list alone, whichever words it uses."""


def bound(text: str, split: Split) -> bool:
    """Whether what `text` says around the parts of `split`, or ends the last with, binds all."""
    last = split.parts[-1].text
    ends = last.rpartition("\n")[2] if "\n" in last else ""
    return TERMS.search(_around(text, split)) is not None or FOR_ALL.search(ends) is not None


def _around(text: str, split: Split) -> str:
    """What stands outside the parts; of a list in JSON, whose parts are escaped, what is before."""
    rest, at = [], 0
    for part in split.parts:
        begins = text.find(part.text, at)
        if begins < 0:
            return JSON.split(text, maxsplit=1)[0]
        rest.append(text[at:begins])
        at = begins + len(part.text)
    return ANNOUNCED.sub(" ", "\n".join((*rest, text[at:])))
