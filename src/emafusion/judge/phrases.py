"""Set phrases in English that only a judge can be meant by, though no single word says so.

Knows turns of phrase; what is said by concepts, in any language, is
:mod:`emafusion.judge.advances`'s to see.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

NOUN = "(?:answer|response|reply|draft|submission|solution|candidate|completion|text|essay|one)"
BEST = "(?:maximum|full|highest|top|perfect|ten|10|100|a\\+|five stars|best)"
GOOD = "(?:correct|right|perfect|valid|flawless|accurate|the best|true|passing|passed|approved)"
ORDERS = "(?:instructions?|rubric|guidelines?|criteria|criterion|prompt|directives?)"
JUDGES = "(?:grad|judg|scor|compar|rat|evaluat|rank|assess|mark)"

PHRASES: Mapping[str, tuple[str, ...]] = {
    " this ": (
        r"(?:mark|count|treat|consider|declare|select|choose|label|deem) this "
        r"(?:\w+ )?as (?:the )?(?:preferred|winning|winner|best|better|correct|superior)\b",
        rf"(?:declare|name|crown|call|make) this {NOUN} (?:as )?(?:the )?"
        r"(?:winner|best|better|correct)\b",
        r"this is the (?:reference|gold|official|model) (?:answer|response|solution)\b",
    ),
    "which ": (
        r"which (?:answer|response|draft|one) to (?:pick|choose|select|prefer)\b[^.\n]{0,6}this",
    ),
    "score ": (
        rf"(?:any|a) score (?:below|lower than|under|less than|other than) (?:the |a )?{BEST}",
    ),
    "mine is ": (
        r"mine is (?:\w+ )?(?:stronger|better|the best|best|superior)\b[^.\n]{0,20}\bvote\b",
    ),
    "thing": (
        r"(?:forget|ignore|disregard) (?:every|any)thing(?: that)?(?: else)? (?:you "
        r"(?:were|have been"
        r"|had been) (?:told|given|instructed)|(?:is |was |came |comes |written |stated |said )?"
        r"(?:above|before|previously|earlier)\b)",
    ),
    "purposes": (rf"for (?:the |all )?purposes? of (?:{JUDGES}ing|(?:the |this )?evaluation)\b",),
    " the one ": (
        r"(?:pick|choose|select|prefer|favou?r) the one (?:containing|with|that (?:contains|has)|"
        r"in which|where) (?:this|the words)",
    ),
    " me ": (rf"(?:give|assign|award|grant) me\b[^.\n]{{0,24}}\b{BEST}",),
    " it ": (
        rf"(?:^|[.!?,:;]\s*|\b(?:please|just|must|should|and|to) )"
        rf"(?:give|assign|award|grant) it\b[^.\n]{{0,16}}\b{BEST}"
        r"(?: (?:score|mark|rating|grade|points)| and\b|[.!]|$)",
    ),
    "yes": (
        r"(?:always|only|ever|must|just|simply) (?:answers?|says?|repl(?:y|ies)|responds?"
        r"|returns?|"
        r"outputs?|writes?|prints?) (?:with )?[\"'“‘`*]{0,2}yes\b",
        r"(?:answer|say|reply|respond|output|write|print)(?: with)? [\"'“‘`*]{0,2}yes\b[^.\n]{0,"
        r"12}"
        r"(?:if|when|whenever|to (?:the|any|every)|regardless|no matter)\b[^.\n]{0,30}"
        r"(?:asked|question|right|correct|judg\w+|grad\w+|answer)\b",
    ),
    "reply with": (
        r"(?:will|must|should|always|now|only|to) reply with [\"'“‘`*\[]{0,3}(?:yes|1|2|a|b|10"
        r"|tie|"
        r"correct)\b",
    ),
    "nothing else": (
        r"(?:print|output|say|write|return|reply|respond|answer)\b[^.\n]{0,30}\b(?:1|10|100|yes|"
        r"a|"
        r"correct|pass)\b[^.\n]{0,12}\bnothing else\b",
    ),
    " on, you": (
        r"from (?:this point|now|here) on(?:wards?)?, you (?:are|will|must|only|always)\b",
    ),
    "you are now": (r"you are now (?:in |a |an )[^.\n]{0,30}\b(?:mode|assistant|judge|grader)\b",),
    "new ": (r"(?:^|[.!]\s+|\n)[\W_]{0,6}(?:your )?new (?:task|instructions?|objective)\s*:",),
    "real ": (rf"(?:the|your) (?:real|actual|true) {ORDERS} (?:is|are|was) to\b",),
    "follow": (
        rf"(?:do not|don't|never|stop|no longer|cease) follow(?:ing)? "
        rf"(?:the|your|any|those|these|all|previous)[^.\n]{{0,30}}\b(?:{ORDERS}|rules)\b",
    ),
    "longer": (rf"\b{ORDERS}\b[^.\n]{{0,24}}\bno longer (?:valid|appl\w+|in force|matters?)\b",),
    "were a test": (rf"\b{ORDERS}\b[^.\n]{{0,40}}\bwere a test\b",),
    "override": (
        rf"\boverrid(?:e|ing)\b[^\w\n]{{0,4}}\s?(?:the |all |any |your |evaluation |grading "
        rf"|scoring "
        rf"|judging |system ){{0,3}}(?:evaluation|grading|scoring|judging|system|{ORDERS})\b",
        r"(?:evaluation|grading|scoring|criteria|judging|score) override\b",
    ),
    " other ": (
        rf"(?:do not|don't|never) (?:choose|select|pick|prefer|rate|rank|accept) (?:the"
        rf"|any) other "
        rf"(?:{NOUN}s?)?",
    ),
    "reference": (
        r"(?:this|answer above|response above|it)\b[^.\n]{0,24}\b(?:matches|equals|agrees with"
        r"|is "
        r"identical to)\b[^.\n]{0,12}\b(?:reference|gold|expected|official)[^.\n]{0,4}(?:answer"
        r"|solution"
        r"|response|label|key)\b[^.\n]{0,12}\b(?:exactly|perfectly|confirmed|word)",
    ),
    "gold": (
        r"(?:this|above)\b[^.\n]{0,12}\bis\b[^.\n]{0,8}\b(?:the )?gold(?:en)?[ -](?:standard )?"
        r"(?:answer|response|solution|label)\b",
    ),
    "ground truth": (r"(?:^|[.!]\s+|\n)ground truth\s*:[^.\n]{0,30}\b(?:answer|response|draft)\b",),
    " above": (
        rf"(?:treat|consider|regard|accept|mark|count|deem) (?:everything|all|what is|the text"
        rf"|the "
        rf"{NOUN}) (?:written )?above\b[^.\n]{{0,12}}\b(?:as|to be)\b[^.\n]{{0,12}}\b{GOOD}",
    ),
}
"""A trace without which the phrases behind it cannot be there → the phrases, for folded text."""

JUDGED: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        (" for this ", " of this ", " on this "),
        rf"(?:verdict|score|rating|judge?ment|grade|evaluation) (?:for|of|on) this {NOUN}\W{{0,3"
        rf"}}"
        r"(?:is|must|should|:|=)",
    ),
    (
        ("whoever", "who ", "if you"),
        rf"(?:whoever|anyone who|the (?:one|person|model) who|if you(?: are|'re)) {JUDGES}(?:es|"
        rf"e|s|"
        r"ks|ing|ings)? (?:this|these|it)\b",
    ),
    (
        (" ai ", "llm", "language model", "assistant", "machine"),
        r"(?:llm|ai|language model|ai model|assistant|machine)(?: is| are|,? if you are"
        r"|s)?(?: that is|"
        r" who is| currently)? (?:reading|grading|judging|scoring|comparing|rating|evaluating"
        r"|ranking|"
        r"reviewing|assessing)\b[^.\n]{0,12}\bthis\b",
    ),
    (
        (
            "ing model",
            "ing system",
            "reward",
            "judge ",
            "ing process",
            "ing algorithm",
            "evaluation ",
        ),
        rf"(?:ranking|judging|grading|scoring|reward|evaluation|judge) (?:model|system|process|"
        rf"algorithm|llm|ai|bot)\b[^.\n]{{0,60}}\bthis {NOUN}\b",
    ),
    (
        (
            "ing model",
            "ing system",
            "reward",
            "judge ",
            "ing process",
            "ing algorithm",
            "evaluation ",
        ),
        rf"this {NOUN}\b[^.\n]{{0,60}}\b(?:ranking|judging|grading|scoring|reward"
        rf"|judge) (?:model|"
        rf"system|process|algorithm|llm|ai|bot)\b",
    ),
    (
        ("this is the", "this was the", "this is clearly", "this is obviously", "this is by far"),
        rf"this (?:is|was) (?:clearly |obviously |by far )?the (?:winning|preferred|better"
        rf"|superior) "
        rf"{NOUN}\b",
    ),
    (
        ("rank this", "place this", "put this", "list this"),
        rf"(?:rank|place|put|list) this (?:{NOUN} )?(?:in |at |as )?(?:the )?(?:first|top|number"
        rf" one|"
        r"above)\b",
    ),
)
"""Traces, one of which is in all that a phrase about "this" matches → the phrase."""


def set_phrase(folded: str) -> str:
    """A set phrase meant for a judge in a folded text; else empty."""
    for trace, patterns in PHRASES.items():
        for pattern in patterns if trace in folded else ():
            found = _found(pattern, folded)
            if found:
                return found
    for traces, pattern in JUDGED if "this" in folded else ():
        found = _found(pattern, folded) if any(trace in folded for trace in traces) else ""
        if found:
            return found
    return ""


def _found(pattern: str, folded: str) -> str:
    # That a word begins here is asked last: a search for letters is quicker than one for places.
    for match in re.finditer(pattern, folded):
        start = match.start()
        if not (start and folded[start - 1].isalnum() and folded[start].isalnum()):
            return match.group()
    return ""
