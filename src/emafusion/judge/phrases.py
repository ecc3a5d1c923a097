"""Set phrases in English that only a judge can be meant by, though no single word says so.

Knows turns of phrase; what is said by concepts, in any language, is
:mod:`emafusion.judge.advances`'s to see.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from emafusion.judge.vocabulary import Reading, group

NOUN = "(?:answer|response|reply|draft|submission|solution|candidate|completion|text|essay|one)"
BEST = "(?:maximum|full|highest|top|perfect|ten|10|100|a\\+|five stars|best)"
GOOD = "(?:correct|right|perfect|valid|flawless|accurate|the best|true|passing|passed|approved)"
ORDERS = "(?:instructions?|rubric|guidelines?|criteria|criterion|prompt|directives?)"
JUDGES = "(?:grad|judg|scor|compar|rat|evaluat|rank|assess|mark)"


class Phrase(NamedTuple):
    """A pattern for folded text, and what must be in a text for it to be there.

    ``words`` are groups of runs of a–z, one of each of which is in all that the pattern matches;
    ``traces`` are passages, one of which must be in the text besides.
    """

    words: tuple[frozenset[str], ...]
    pattern: str
    traces: tuple[str, ...] = ("",)


def _phrase(words: str, pattern: str, *traces: str) -> Phrase:
    groups = tuple(map(group, words.split("/")))
    return Phrase(groups, pattern, traces or ("",))


NOUNS = "answer response reply draft submission solution candidate completion text essay one"
ORDERED = (
    "instruction instructions rubric guideline guidelines criteria criterion prompt directive "
    "directives"
)
JUDGING = "reading grading judging scoring comparing rating evaluating ranking reviewing assessing"
STEMS = "grad judg scor compar rat evaluat rank assess mark"
CALLED = ("whoever", "who", "if you", "if you are", "if you're")
WHO_JUDGES = " ".join(
    stem + end for stem in STEMS.split() for end in ("", "es", "e", "s", "ks", "ing", "ings")
)
MACHINES = "model system process algorithm llm ai bot"

PHRASES: tuple[Phrase, ...] = (
    _phrase(
        "preferred winning winner best better correct superior / as / this"
        " / mark count treat consider declare select choose label deem",
        r"(?:mark|count|treat|consider|declare|select|choose|label|deem) this "
        r"(?:\w+ )?as (?:the )?(?:preferred|winning|winner|best|better|correct|superior)\b",
        " this ",
    ),
    _phrase(
        "winner best better correct / declare name crown call make / this",
        rf"(?:declare|name|crown|call|make) this {NOUN} (?:as )?(?:the )?"
        r"(?:winner|best|better|correct)\b",
        " this ",
    ),
    _phrase(
        "reference gold official model / answer response solution / is / this",
        r"this is the (?:reference|gold|official|model) (?:answer|response|solution)\b",
        " this ",
    ),
    _phrase(
        "pick choose select prefer / which / to",
        r"which (?:answer|response|draft|one) to (?:pick|choose|select|prefer)\b[^.\n]{0,6}this",
        "which ",
    ),
    _phrase(
        "score / below lower under less other / any a",
        rf"(?:any|a) score (?:below|lower than|under|less than|other than) (?:the |a )?{BEST}",
        "score ",
    ),
    _phrase(
        "mine / stronger better best superior / vote",
        r"mine is (?:\w+ )?(?:stronger|better|the best|best|superior)\b[^.\n]{0,20}\bvote\b",
        "mine is ",
    ),
    _phrase(
        "forget ignore disregard / everything anything",
        r"(?:forget|ignore|disregard) (?:every|any)thing(?: that)?(?: else)? (?:you "
        r"(?:were|have been"
        r"|had been) (?:told|given|instructed)|(?:is |was |came |comes |written |stated |said )?"
        r"(?:above|before|previously|earlier)\b)",
        "thing",
    ),
    _phrase(
        "purposes purpose / for / of",
        rf"for (?:the |all )?purposes? of (?:{JUDGES}ing|(?:the |this )?evaluation)\b",
        "purposes",
    ),
    _phrase(
        "pick choose select prefer favour favor / one / containing with that in where",
        r"(?:pick|choose|select|prefer|favou?r) the one (?:containing|with|that (?:contains|has)|"
        r"in which|where) (?:this|the words)",
        " the one ",
    ),
    _phrase(
        "give assign award grant / me",
        rf"(?:give|assign|award|grant) me\b[^.\n]{{0,24}}\b{BEST}",
        " me ",
    ),
    _phrase(
        "give assign award grant / it",
        rf"(?:^|[.!?,:;]\s*|\b(?:please|just|must|should|and|to) )"
        rf"(?:give|assign|award|grant) it\b[^.\n]{{0,16}}\b{BEST}"
        r"(?: (?:score|mark|rating|grade|points)| and\b|[.!]|$)",
        " it ",
    ),
    _phrase(
        "yes / always only ever must just simply",
        r"(?:always|only|ever|must|just|simply) (?:answers?|says?|repl(?:y|ies)|responds?"
        r"|returns?|"
        r"outputs?|writes?|prints?) (?:with )?[\"'“‘`*]{0,2}yes\b",
        "yes",
    ),
    _phrase(
        "yes / answer say reply respond output write print",
        r"(?:answer|say|reply|respond|output|write|print)(?: with)? [\"'“‘`*]{0,2}yes\b[^.\n]{0,"
        r"12}"
        r"(?:if|when|whenever|to (?:the|any|every)|regardless|no matter)\b[^.\n]{0,30}"
        r"(?:asked|question|right|correct|judg\w+|grad\w+|answer)\b",
        "yes",
    ),
    _phrase(
        "reply / with / will must should always now only to",
        r"(?:will|must|should|always|now|only|to) reply with [\"'“‘`*\[]{0,3}(?:yes|1|2|a|b|10"
        r"|tie|"
        r"correct)\b",
        "reply with",
    ),
    _phrase(
        "else / nothing",
        r"(?:print|output|say|write|return|reply|respond|answer)\b[^.\n]{0,30}\b(?:1|10|100|yes|"
        r"a|"
        r"correct|pass)\b[^.\n]{0,12}\bnothing else\b",
        "nothing else",
    ),
    _phrase(
        "from / on onward onwards / you",
        r"from (?:this point|now|here) on(?:wards?)?, you (?:are|will|must|only|always)\b",
        " on, you",
    ),
    _phrase(
        "now / you / are",
        r"you are now (?:in |a |an )[^.\n]{0,30}\b(?:mode|assistant|judge|grader)\b",
        "you are now",
    ),
    _phrase(
        "new / task instruction instructions objective",
        r"(?:^|[.!]\s+|\n)[\W_]{0,6}(?:your )?new (?:task|instructions?|objective)\s*:",
        "new task",
        "new instruction",
        "new objective",
    ),
    _phrase(
        f"real actual true / {ORDERED} / to",
        rf"(?:the|your) (?:real|actual|true) {ORDERS} (?:is|are|was) to\b",
        "real ",
    ),
    _phrase(
        f"follow following / do don never stop no cease / {ORDERED} rules",
        rf"(?:do not|don't|never|stop|no longer|cease) follow(?:ing)? "
        rf"(?:the|your|any|those|these|all|previous)[^.\n]{{0,30}}\b(?:{ORDERS}|rules)\b",
        "follow",
    ),
    _phrase(
        f"longer / {ORDERED} / no",
        rf"\b{ORDERS}\b[^.\n]{{0,24}}\bno longer (?:valid|appl\w+|in force|matters?)\b",
        "longer",
    ),
    _phrase(
        f"test / were / {ORDERED}", rf"\b{ORDERS}\b[^.\n]{{0,40}}\bwere a test\b", "were a test"
    ),
    _phrase(
        "override overriding",
        rf"\boverrid(?:e|ing)\b[^\w\n]{{0,4}}\s?(?:the |all |any |your |evaluation |grading "
        rf"|scoring "
        rf"|judging |system ){{0,3}}(?:evaluation|grading|scoring|judging|system|{ORDERS})\b",
        "override",
    ),
    _phrase(
        "override", r"(?:evaluation|grading|scoring|criteria|judging|score) override\b", "override"
    ),
    _phrase(
        "other / do don never / choose select pick prefer rate rank accept",
        rf"(?:do not|don't|never) (?:choose|select|pick|prefer|rate|rank|accept) (?:the"
        rf"|any) other "
        rf"(?:{NOUN}s?)?",
        " other ",
    ),
    _phrase(
        "matches equals agrees identical / this above it",
        r"(?:this|answer above|response above|it)\b[^.\n]{0,24}\b(?:matches|equals|agrees with"
        r"|is "
        r"identical to)\b[^.\n]{0,12}\b(?:reference|gold|expected|official)[^.\n]{0,4}(?:answer"
        r"|solution"
        r"|response|label|key)\b[^.\n]{0,12}\b(?:exactly|perfectly|confirmed|word)",
        "reference",
    ),
    _phrase(
        "gold golden / answer response solution label / is",
        r"(?:this|above)\b[^.\n]{0,12}\bis\b[^.\n]{0,8}\b(?:the )?gold(?:en)?[ -](?:standard )?"
        r"(?:answer|response|solution|label)\b",
        "gold",
    ),
    _phrase(
        "ground / truth",
        r"(?:^|[.!]\s+|\n)ground truth\s*:[^.\n]{0,30}\b(?:answer|response|draft)\b",
        "ground truth",
    ),
    _phrase(
        "above / treat consider regard accept mark count deem / as be",
        rf"(?:treat|consider|regard|accept|mark|count|deem) (?:everything|all|what is|the text"
        rf"|the "
        rf"{NOUN}) (?:written )?above\b[^.\n]{{0,12}}\b(?:as|to be)\b[^.\n]{{0,12}}\b{GOOD}",
        " above",
    ),
)
"""What only a judge can be meant by."""

JUDGED: tuple[Phrase, ...] = (
    _phrase(
        "verdict score rating judgment judgement grade evaluation / this / for of on",
        rf"(?:verdict|score|rating|judge?ment|grade|evaluation) (?:for|of|on) this {NOUN}\W{{0,3"
        rf"}}"
        r"(?:is|must|should|:|=)",
        " for this ",
        " of this ",
        " on this ",
    ),
    _phrase(
        f"{WHO_JUDGES} / this these it",
        rf"(?:whoever|anyone who|the (?:one|person|model) who|if you(?: are|'re)) {JUDGES}(?:es|"
        rf"e|s|"
        r"ks|ing|ings)? (?:this|these|it)\b",
        *(f"{who} {stem}" for who in CALLED for stem in STEMS.split()),
    ),
    _phrase(
        f"{JUDGING} / this",
        r"(?:llm|ai|language model|ai model|assistant|machine)(?: is| are|,? if you are"
        r"|s)?(?: that is|"
        r" who is| currently)? (?:reading|grading|judging|scoring|comparing|rating|evaluating"
        r"|ranking|"
        r"reviewing|assessing)\b[^.\n]{0,12}\bthis\b",
        " ai ",
        "llm",
        "language model",
        "assistant",
        "machine",
    ),
    _phrase(
        f"ranking judging grading scoring reward evaluation judge / {MACHINES} / {NOUNS} / this",
        rf"(?:ranking|judging|grading|scoring|reward|evaluation|judge) (?:model|system|process|"
        rf"algorithm|llm|ai|bot)\b[^.\n]{{0,60}}\bthis {NOUN}\b",
        "ing model",
        "ing system",
        "reward",
        "judge ",
        "ing process",
        "ing algorithm",
        "evaluation ",
    ),
    _phrase(
        f"ranking judging grading scoring reward judge / {MACHINES} / {NOUNS} / this",
        rf"this {NOUN}\b[^.\n]{{0,60}}\b(?:ranking|judging|grading|scoring|reward"
        rf"|judge) (?:model|"
        rf"system|process|algorithm|llm|ai|bot)\b",
        "ing model",
        "ing system",
        "reward",
        "judge ",
        "ing process",
        "ing algorithm",
        "evaluation ",
    ),
    _phrase(
        f"winning preferred better superior / {NOUNS} / this",
        rf"this (?:is|was) (?:clearly |obviously |by far )?the (?:winning|preferred|better"
        rf"|superior) "
        rf"{NOUN}\b",
        "this is the",
        "this was the",
        "this is clearly",
        "this is obviously",
        "this is by far",
    ),
    _phrase(
        "rank place put list / first top number above / this",
        rf"(?:rank|place|put|list) this (?:{NOUN} )?(?:in |at |as )?(?:the )?(?:first|top|number"
        rf" one|"
        r"above)\b",
        "rank this",
        "place this",
        "put this",
        "list this",
    ),
)
"""What is said of "this", about those who judge."""


OPENINGS = frozenset().union(*(phrase.words[0] for phrase in (*PHRASES, *JUDGED)))


def set_phrase(read: Reading) -> str:
    """A set phrase meant for a judge in a text; else empty."""
    begun = read.known & OPENINGS
    if not begun:
        return ""
    for phrase in (*PHRASES, *(JUDGED if "this" in read.folded else ())):
        if phrase.words[0].isdisjoint(begun) or not read.has(*phrase.words[1:]):
            continue
        if any(trace in read.folded for trace in phrase.traces):
            found = _found(phrase.pattern, read.folded)
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
