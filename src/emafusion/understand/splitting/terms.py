"""Words around a list that bind its answers: carried to every part, or a reason not to split.

Knows the few instructions that mean the same for one answer as for several ("in French", "in one
word each", "You are a pirate"): those go to every part. Whatever else stands around a list and
might bind the answers keeps the prompt whole: nobody's instruction may be lost.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from emafusion.types import Part, Split, Value, replace
from emafusion.understand.splitting.layout import Layout, loose
from emafusion.understand.splitting.reading import LISTING, about_share
from emafusion.understand.splitting.words import ASK_NOUNS, CARDINALS, DATA_VERBS

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
    r"\b(?:both|all|each|every) (?:\w+ ){0,3}?(?:questions?|answers?|parts?|tasks?"
    r"|items?|problems?)\b"
    r"|\b(?:these|those|the) (?:\w+ ){0,3}?(?:questions|answers|parts|tasks|items|problems)\b"
    r"|\A\W*(?:please )?(?:answer|reply|respond|keep)\b[^?]*\b(?:each|both|all|them|every)\b",
    re.IGNORECASE,
)
ANNOUNCED: Final = re.compile(
    r"\b(?:one after (?:the other|another)|in (?:the )?order|separately"
    r"|(?:as|in) a (?:numbered )?list|(?:together|all) with their numbers?|not related|unrelated"
    r"|(?:i )?hope (?:\w+ ){1,5}well|no hurry|if you don['’]t mind)\b",
    re.IGNORECASE,
)
"""What speaks of the list alone, whichever words it uses."""

_TOGETHER: Final = re.compile(
    r"\b(?:together|combined?|altogether|in total|overall|repeat\w*|compare|same|different|one of"
    r"|except|instead|skip|unless|if|previous|next|other|another|first|second|third|last|third"
    r"|between|among|single (?:answer|reply|response|object|list|table|paragraph))\b",
    re.IGNORECASE,
)
"""What speaks of the answers as a whole or of some of them: never carried."""
_TONGUES: Final = (
    r"(?:english|german|french|spanish|italian|portuguese|dutch|russian|chinese|japanese|korean"
    r"|arabic|hindi|turkish|polish|latin|swedish|greek|deutsch|englisch|französisch|spanisch"
    r"|français|anglais|allemand|espagnol|español|inglés|alemán|francés|italiano|português)"
)
_LONE: Final = re.compile(
    r"\b(?:(?:only |just )?(?:in|with) (?:one|a single|1|exactly one) word(?: only)?"
    r"|(?:only |just )?(?:with )?(?:a (?:plain |simple )?)?(?:yes or no|yes/no|true or false)"
    r"(?: only)?"
    r"|(?:only|just) (?:with )?(?:the|a) (?:final |correct )?(?:answer|number|letter|word|result)"
    r"|(?:the|a) (?:final |correct )?(?:answer|number|letter|word|result)s? (?:only|alone)"
    r"|(?:very |quite )?(?:briefly|concisely|concise|brief|short|in detail|detailed)"
    r"|without (?:any |an |further |giving )*explanations?|no explanations?"
    r"|(?:do not|don['’]t) explain(?: (?:your|the|any) ?\w*)?"
    r"|(?:and )?explain (?:your|each|every|the) (?:answers?|reasoning|choices?)"
    r"|show (?:your|the|all) (?:work|working|steps|reasoning)|step[- ]by[- ]step"
    r"|in (?:very )?(?:simple|plain|easy|formal|informal|everyday) (?:words|terms|language|style"
    r"|english)|(?:in|with|using) an? (?:\w+ )?(?:formal|informal|friendly|polite|casual"
    r"|professional|humorous|serious|academic) (?:tone|style|voice)|in \w+ speak"
    rf"|(?:only )?(?:in|auf|en|em) {_TONGUES}(?: only)?"
    r"|(?:as if |as |like )?(?:to|for) an? (?:\w+[ -]){0,3}(?:child|beginner|kid|layman|layperson"
    r"|student|year[- ]old)|like i['’]?(?: a)?m (?:five|5|ten|10))(?=\W|\Z)",
    re.IGNORECASE,
)
"""Forms of one answer that several cannot share out among them."""
_NUMBER: Final = rf"(?:\d{{1,4}}|one|an?|a single|few|ten|twenty|{'|'.join(sorted(CARDINALS))})"
_SIZED: Final = re.compile(
    r"\b(?:(?:in|with|using|to|of|be|within|under|below) )?(?:(?:exactly|at most|no more than|up to"
    r"|under|fewer than|less than|about|around|only|just|maximum|max\.?|within) )?"
    rf"(?:{_NUMBER}(?:(?: to | or |-){_NUMBER})?) (?:short |full |single |complete )?"
    r"(?:words?|sentences?|lines?|paragraphs?|characters?|bullet points?)"
    r"(?: (?:or (?:less|fewer)|at most|max(?:imum)?\.?|only))?(?=\W|\Z)",
    re.IGNORECASE,
)
_SHAPED: Final = re.compile(
    r"\b(?:as|in) (?:(?:an?|valid|plain|proper) )*(?:json|xml|yaml|csv|html|markdown|latex|haiku"
    r"|limerick|poem|table|bullet(?:ed)? list|bullet points)(?: (?:list|object|array|string"
    r"|table))?(?=\W|\Z)",
    re.IGNORECASE,
)
_EACH: Final = re.compile(r"\b(?:each|every|apiece|per (?:question|answer|item|task))\b", re.I)
_KEPT: Final = re.compile(r"\bkeep (?:all |both )?(?:your |the |of )*(?:answers|replies)\b", re.I)
_SEVERAL: Final = re.compile(
    r"\b(?:each|every|both|all|apiece|them|these|those|following|answers|replies|responses"
    r"|questions|tasks|problems|requests|items|antworten|fragen|réponses|respuestas)\b",
    re.IGNORECASE,
)
_PERSONA: Final = re.compile(
    r"\W*(?:you are|you['’]re|act as|pretend (?:to be|(?:that )?you are)|imagine (?:that )?you are)"
    r" (?!an? (?:ai|large) )(?:an?|the|my) (?:[^\W\d_][\w'’-]*[ ,]{0,2}){1,12}[.!:]?\s*",
    re.IGNORECASE,
)
_SENTENCE: Final = re.compile(r"[^.!?:\n]+(?:[.!?:]+(?=\s|\Z)|\n|\Z)|[.!?:]+")
_LONGEST: Final = 200
"""Characters of one sentence that may be carried."""
_MOST: Final = 600
"""Characters around a list beyond which it is a text, not a few instructions."""
_NOUNS: Final = "|".join(sorted(ASK_NOUNS - {"q", "qs"}, key=len, reverse=True))
_OBJECT: Final = re.compile(
    r"\b(answer|solve|address|handle|tackle|do|complete|respond|reply)(?: to)? "
    r"(?:(?:each|all|both|every|these|those|the|my|our|of|them|following|below|above|one|list"
    rf"|{_NOUNS}|{'|'.join(sorted(CARDINALS))}|\d)\b[ ,]*)+",
    re.IGNORECASE,
)
_FOR_ONE: Final = (
    (re.compile(r"\A\W*for each(?: \w+)?, *", re.IGNORECASE), ""),
    (
        re.compile(r",? ?\b(?:for each(?: \w+)?|each|apiece|respectively|per \w+)(?=\W*\Z)", re.I),
        "",
    ),
    (
        re.compile(r"\b(?:each|every|all(?: of)?|both)(?: the| your)? answers?\b", re.I),
        "the answer",
    ),
    (re.compile(r"\banswers\b", re.I), "answer"),
    (re.compile(r"\b(?:all|both|each) of (?:them|these)\b", re.I), "it"),
)


class Lifted(Value, frozen=True, kw_only=True):
    """A layout without the instructions that go to every part, and these as one part reads them.

    ``said`` is where they stood: the prompt's own words.
    """

    layout: Layout
    carried: tuple[str, ...] = ()
    said: tuple[str, ...] = ()


def lift(layout: Layout) -> Lifted:
    """Take the instructions that every part of `layout` can carry out of what stands around it."""
    before, carried, said = _parted(layout.before, persona=not loose(layout.kind))
    after, more, told = _parted(layout.after)
    *pieces, last = layout.pieces
    text, ending = _ending(last.text) if layout.kind not in {"tag", "json"} else (last.text, "")
    talk, most, spoken = _parted(ending)
    if not (carried or more or most):
        return Lifted(layout=layout)
    found = replace(
        layout,
        before=before,
        after=f"{talk} {after}".strip(),
        pieces=(*pieces, replace(last, text=text)),
    )
    return Lifted(layout=found, carried=(*carried, *most, *more), said=(*said, *spoken, *told))


def carry(split: Split, carried: Sequence[str]) -> Split:
    """`split` with the instructions `carried` before every part's own words."""
    if not carried:
        return split
    terms = " ".join(dict.fromkeys(carried))
    parts = tuple(replace(part, text=f"{terms}\n\n{part.text}") for part in split.parts)
    return replace(split, parts=parts)


def bound(text: str, parts: Sequence[Part], *, said: Sequence[str] = ()) -> bool:
    """Whether what `text` says around `parts`, less what is carried, binds all of them."""
    around = outside(text, parts)
    for sentence in said:
        around = around.replace(sentence, " ", 1)
    if TERMS.search(ANNOUNCED.sub(" ", LISTING.sub(" ", around))) is not None:
        return True
    last = parts[-1].text.strip()
    paragraph = last.rpartition("\n\n")[2] if "\n\n" in last else ""
    if paragraph and _carried(paragraph) is not None:
        return True  # it may be meant for the last part, or for all
    ends = [last.rpartition("\n")[2] if "\n" in last else "", _ending(last)[1]]
    return any(FOR_ALL.search(each) for each in ends if len(each) <= _LONGEST)


def names_all(sentence: str) -> bool:
    """Whether `sentence` can be carried to every part, and says that it is meant for all."""
    return _SEVERAL.search(sentence) is not None and _carried(sentence) is not None


def outside(text: str, parts: Sequence[Part]) -> str:
    """What stands outside the parts; of a list in JSON, whose parts are escaped, outside of it."""
    rest, at = [], 0
    for part in parts:
        begins = text.find(part.text, at)
        if begins < 0:
            ends = max(text.rfind("]"), text.rfind("}")) + 1
            return f"{JSON.split(text, maxsplit=1)[0]}\n{text[ends:] if ends else ''}"
        rest.append(text[at:begins])
        at = begins + len(part.text)
    return "\n".join((*rest, text[at:]))


def _parted(text: str, *, persona: bool = False) -> tuple[str, list[str], list[str]]:
    """`text` without its forms, its instructions as one part reads them, and as they stand."""
    if len(text) > _MOST:
        return text, [], []
    rest, carried, said = [], [], []
    for sentence in _SENTENCE.findall(text):
        found = _carried(sentence)
        if found is None and persona and _PERSONA.fullmatch(sentence):
            found = ("", _stopped(sentence))
        if found is None:
            rest.append(sentence)
        else:
            rest.append(found[0])
            carried.append(found[1])
            said.append(sentence)
    return "".join(rest), carried, said


def _carried(sentence: str) -> tuple[str, str] | None:
    """`sentence` without its forms, and as one part is told it; ``None`` if it must not be."""
    if len(sentence) > _LONGEST or "?" in sentence or _TOGETHER.search(sentence):
        return None
    each = _EACH.search(sentence) is not None
    rest, lone = _LONE.subn(" ", sentence)
    sized = shaped = 0
    if each or _KEPT.search(sentence):
        rest, sized = _SIZED.subn(" ", rest)
    if each:
        rest, shaped = _SHAPED.subn(" ", rest)
    said = ANNOUNCED.sub(" ", rest)
    if not lone + sized + shaped or TERMS.search(said) or about_share(said) < 1.0:
        return None
    if DATA_VERBS.intersection(said.lower().split()):
        return None
    told = _OBJECT.sub(r"\1 ", sentence.strip())
    for pattern, instead in _FOR_ONE:
        told = pattern.sub(instead, told)
    return rest, _stopped(told)


def _stopped(sentence: str) -> str:
    said = " ".join(sentence.strip(" :.!,\n").split())
    return f"{said[:1].upper()}{said[1:]}."


def _ending(text: str) -> tuple[str, str]:
    """`text` without its last sentence or line where that is meant for all answers, and that."""
    text = text.rstrip()
    tail = text[-_LONGEST:]
    for gap in (r"\n", r"[.!?)]\s+(?=[A-Z(])"):
        places = [found.end() for found in re.finditer(gap, tail)]
        ending = tail[places[-1] :] if places else ""
        if ending and _SEVERAL.search(ending) and (names_all(ending) or FOR_ALL.search(ending)):
            return text[: len(text) - len(ending)].rstrip(), ending
    return text, ""
