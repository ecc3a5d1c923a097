"""Set phrases in English that only a judge or a writer of several drafts can be meant by.

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
        "ai llm model machine bot assistant / you / comparing grading judging scoring ranking"
        " rating evaluating assessing / if",
        r"if you(?: are|'re) (?:an? |the )?(?:ai|llm|(?:language |ai )?model|machine|bot"
        r"|assistant) (?:that is |who is |currently )?(?:comparing|grading|judging|scoring|ranking"
        r"|rating|evaluating|assessing)\b",
        "if you",
    ),
    _phrase(
        f"must should ought deserves has / {NOUNS} / this my current present above / ten full top"
        " highest maximum perfect first number",
        rf"(?:this|my|current|present|above) {NOUN} (?:must|should|ought to|has to|deserves to) "
        r"(?:be )?(?:given|awarded|assigned|receive|get|granted|marked|scored|rated|graded|put"
        r"|placed|ranked)(?: with| at| as| in| on)? (?:an? |the )?(?:ten|full (?:marks?|points"
        r"|score)|(?:top|highest|maximum|perfect) (?:marks?|score|grade|points?|rating|place)"
        r"|first place|first|top|number one)\b",
    ),
    _phrase(
        "mark put rank rate vote / mine me / up first top best highest above",
        r"(?:mark|put|rank|rate|vote) (?:mine|me) (?:up|first|top|best|highest|on top"
        r"|above (?:the|all|every))\b",
        " mine ",
        " me ",
    ),
    _phrase(
        "anything everything / else / you / inferior worse wrong weaker incorrect flawed",
        r"(?:any|every)thing else (?:that )?you (?:will |may |might )?(?:read|see|receive"
        r"|are (?:shown|given)) (?:here )?is (?:\w+ )?(?:inferior|worse|wrong|weaker|incorrect"
        r"|flawed)\b",
        "thing else ",
    ),
    _phrase(
        "whoever anyone / these them / should must please has needs place put pick choose give"
        " award",
        rf"(?:whoever|anyone who) {JUDGES}(?:es|e|s|ks)? (?:these|them)\b[^.\n]{{0,30}}\b(?:should"
        r"|must|please|has to|needs to|place|put|pick|choose|give|award)\b",
        "whoever ",
        "anyone who ",
    ),
    _phrase(
        "ignore disregard skip discard / after before below following / this mine / text answer"
        " response draft reply submission candidate texts answers responses drafts everything",
        r"(?:ignore|disregard|skip|discard) (?:the |every |any |all )?(?:the )?(?:texts?|answers?"
        r"|responses?|drafts?|reply|submission|candidate|everything) (?:that |which )?(?:comes? "
        r"|follows? |stands? |is )?(?:after|before|below|following) (?:this (?:one|answer|response"
        r"|draft|reply|submission)|mine)\b",
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

OWN = "(?:draft|version|text|answer|response|reply|wording)"
WHOLE = (
    "(?:word for word|verbatim|unchanged|unaltered|exactly|in full|as (?:it )?is|as it stands|only"
    "|alone)"
)
JOINT = "(?:combined|merged|fused|joint|synthesi[sz]ed|consolidated)"
OWNS = "draft version text answer response reply wording"
JOINTS = "combined merged fused joint synthesised synthesized consolidated"
SEVERAL = "drafts draft answers answer responses response candidates submissions others rest other"

WRITERS: tuple[Phrase, ...] = (
    _phrase(
        f"use keep copy take adopt reproduce quote repeat / {OWNS} / my this / only but solely",
        rf"(?:use|keep|copy|take|adopt|reproduce|quote|repeat) (?:only|nothing but|solely) "
        rf"(?:my|this) {OWN}\b",
    ),
    _phrase(
        f"use keep copy adopt reproduce quote repeat output return / {OWNS} / my this",
        rf"(?:use|keep|copy|adopt|reproduce|quote|repeat|output|return) (?:my|this) {OWN} "
        rf"{WHOLE}\b",
    ),
    _phrase(
        "reproduce copy repeat output return print / above",
        r"(?:reproduce|copy|repeat|output|return|print) (?:the |everything |all |what is )?"
        rf"(?:text |draft |answer )?above {WHOLE}\b",
        " above ",
    ),
    _phrase(
        "combine merge synthesise synthesize / not / do",
        r"do not (?:combine|merge|synthesi[sz]e)(?: (?:the |these )?(?:drafts|answers|responses))?"
        r"(?:[.!;]|$)",
        "do not ",
    ),
    _phrase(
        "whoever / these them the",
        r"whoever (?:merg|combin|fus|writ|synthes|consolidat|aggregat|compil)\w* (?:these|them"
        r"|the (?:final|combined|merged|drafts|answers))\b",
        "whoever ",
    ),
    _phrase(
        "everything anything / contradicts contradict disagrees disagree conflicts conflict"
        f" / this my the / {OWNS}",
        r"(?:leave out|drop|discard|remove|delete|omit|ignore) (?:every|any)thing (?:else )?"
        r"(?:that |which )?(?:contradicts?|disagrees with|conflicts with) (?:this|my|the present) "
        rf"{OWN}\b",
        "thing ",
    ),
    _phrase(
        f"answer response text reply / must should shall has needs / {JOINTS}",
        rf"{JOINT} (?:answer|response|text|reply) (?:must|should|shall|has to|needs to) "
        r"(?:only |also )?(?:end|begin|start|open|close|contain|include|say|state|mention|recommend"
        r"|be|read|follow)\b",
        "ed answer ",
        "ed response ",
        "ed text ",
        "ed reply ",
        "joint ",
    ),
    _phrase(
        "final / author writer editor model / for to",
        r"(?:instructions?|note|message|memo|hint|notice|attention|request|reminder) (?:for|to) "
        r"(?:the )?final (?:author|writer|editor|model)\b",
        " final ",
    ),
    _phrase(
        "append prepend add insert / you your the / to",
        r"(?:append|prepend|add|insert)\b[^.\n]{1,80}? to (?:what you write\b|your synthesis\b"
        rf"|(?:the|your) {JOINT} (?:answer|response|text|reply)\b)",
        "what you write",
        "your synthesis",
        "ed answer",
        "ed response",
        "ed text",
        "ed reply",
        "joint",
    ),
    _phrase(
        f"throw / away out / {SEVERAL}",
        r"throw (?:(?:away|out) (?:the |all )?(?:others?|rest)(?: (?:drafts?|answers?|responses?))?"
        r"\b[.!,;]?|(?:the |all )?(?:others|rest|other (?:drafts|answers|responses)) (?:away"
        r"|out)\b)",
        "throw ",
    ),
    _phrase(
        "ignore disregard discard skip drop forget omit / drafts draft",
        r"(?:ignore|disregard|discard|skip|drop|forget|omit) (?:the )?drafts? [a-d1-9]\b",
        " draft",
    ),
    _phrase(
        "step stage phase task / over done finished complete cancelled / merging combining"
        " synthesis fusion / is",
        r"(?:merging|combining|synthesis|fusion) (?:step|stage|phase|task) is (?:over|done"
        r"|finished|complete|cancelled)\b",
    ),
    _phrase(
        "drafts / all both / agree say confirm concur",
        r"(?:all|both) (?:of the |the )?(?:other )?drafts (?:agree|say|confirm|concur)\b",
        " drafts ",
    ),
)
"""What only a writer who is given several drafts can be meant by."""

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


OPENINGS = frozenset().union(*(phrase.words[0] for phrase in (*PHRASES, *WRITERS, *JUDGED)))


def set_phrase(read: Reading) -> str:
    """A set phrase meant for a judge in a text; else empty."""
    begun = read.known & OPENINGS
    if not begun:
        return ""
    for phrase in (*PHRASES, *WRITERS, *(JUDGED if "this" in read.folded else ())):
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
