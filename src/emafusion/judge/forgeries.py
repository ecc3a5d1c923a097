"""Marks that belong to a conversation and not to a draft: forged turns, fences and verdicts.

Knows how chats, templates and judges' replies are written down. Does not know what is said in
words (:mod:`emafusion.judge.advances`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from emafusion.judge.vocabulary import Reading, group

ROLE = re.compile(
    r"<\|[a-z_ ]{2,24}\|>|\[/?inst\]|<</?sys>>|<(?:start|end)_of_turn>"
    r"|</?(?:system|sys|assistant|developer|judge|grader|evaluator|evaluation|verdict|admin)"
    r"(?:[ _-]\w{1,20})?(?: [^<>]{0,60})?>"
    r"|^[ \t>*#\-]*\[?(?:system|developer|admin(?:istrator)?|root)[ _-]"
    r"(?:prompt|message|note|override|notice|alert|instructions?|update|command|directive)\b"
    r"[^\n:]{0,30}[:\]]"
    r"|^[ \t>*]*\[(?:system|admin|developer)\]|^[ \t>]*#{1,6} ?(?:system|new instructions?|"
    r"updated instructions?|instructions? (?:for|to) (?:the )?(?:judge|grader|evaluator|reviewer|"
    r"model|ai|llm)s?)\s*:?\s*$|^[ \t>]*#{1,6} ?(?:system|new instructions?)\s*:"
    r"|\"role\"\s*:\s*\"(?:system|developer)\"",
    re.MULTILINE,
)
TURN = re.compile(
    r"^[ \t>*#\[]*(?:system|human|user|assistant|judge|grader|evaluator|reviewer|sistema|système|"
    r"systeme|система|系统|系統|システム|시스템|النظام|نظام|सिस्टम|sistem)"
    r"[\]* \t]*[:：]([^\n]{1,300})",
    re.MULTILINE,
)
SPEAKER = re.compile(r"[ \t>*#\[]*\w{2,16}[\]* \t]*[:：]")
TAGS = group(
    "inst sys system assistant developer judge grader evaluator evaluation verdict admin turn"
)
TITLES = group("system developer admin administrator root instruction instructions")
"""Runs of a–z, one of which is in a role's mark in brackets, or at the start of a line."""
OPENS = re.compile(r"\n[ \t>*#\-]*\[?(?:system|developer|admin|root|(?:new |updated )?instruction)")
"""How a line with a title in it begins."""
SPEAKERS = group(
    "system human user assistant judge grader evaluator reviewer sistema systeme sistem"
)
SPOKEN = re.compile(rf"\n[ \t>*#\[]*(?:{'|'.join(sorted(SPEAKERS))})[\]* \t]*[:：]")
QUOTABLE = ("answer", "response", "draft", "candidate", "submission", "quot", "evaluation", "data",
            "instructions", "prompt")  # fmt: skip
LIMITS = group(
    "proposed end ends ended begin begins start starts close stop over finished complete"
)
"""Runs of a–z, one of which is in every mark of a quotation's end; those below likewise."""
LIMITED = group(
    "answer response draft candidate submission evaluation quote data quotation prompt answers "
    "responses drafts candidates submissions evaluations quotes datas quotations instructions "
    "instructionss prompts conversation"
)
VERDICTS = group(
    "verdict score rating judgment judgement winner preferred preference better evaluation grade "
    "decision"
)
NUMBERABLE = group("answer response assistant candidate draft submission")
PLACED = group(
    "is was win wins deserves choose select pick prefer rate rank favor favour vote return output "
    "print say reply respond"
)
OWN = group("me mine")
CHOOSING = group("rate score grade vote upvote choose pick select prefer favor favour rank")
KEYS = group("verdict winner preference preferred correct")
LONGEST_LINE = 80
MARK = re.compile(r"<<[0-9a-f]{4,32}>>")
MATERIAL = re.compile(
    r"^[ \t>*#]*DRAFT [A-Z](?: \((?:most|less) trusted\))?[ \t*]*:?[ \t*]*$|^NOTES$"
    r"|^[ \t>*]*(?ai:agreed \([a-z](?:, ?[a-z])*\)|only in [a-z](?:, ?[a-z])*|the request again)"
    r"[ \t*]*:"
    r"|<<[^<>\n]{0,40}\b(?ai:material|drafts?|notes)\b[^<>\n]{0,40}>>"
    r"|<<(?ai:end|begin|start) of [^<>\n]{0,40}>>",
    re.MULTILINE,
)
"""How a writer is given drafts and notes on them."""
MATERIALS = ("draft ", "notes", "agreed (", "only in ", "request again", "<<")
"""What is in a text, in small letters, that holds such a mark."""
FENCE = re.compile(
    r"[ \t]*proposed answer[ \t]*:?$"
    r"|[-=#*<\[ \t]{0,12}(?:end|begin|start|close|stop) (?:of )?(?:the )?(?:quoted |proposed "
    r"|candidate |"
    r"user |untrusted |first |second |student )?(?:answer|response|draft|candidate|submission|"
    r"evaluation|quote|data|quotation|instructions|prompt)s?(?: [a-d1-4])?[-=#*>\] \t]{0,12}[.:]?$"
    r"|[=\-#*]{2,} ?(?:the )?(?:answer|response|draft|submission|candidate|quote)s?(?: [a-d1-4])? "
    r"(?:is |has |was )?(?:ends?|ended|over|begins?|starts?|finished|complete)\b"
    r"|[ \t]*\[(?:the )?(?:start|end) of [^\]\n]{0,30}(?:answer|response|conversation)\]"
)
CLOSING = re.compile(
    r"</(answer|response|draft|candidate|quoted?|data|submission|proposed_answer|user_input|"
    r"document|untrusted|input|output)(?:[_ ]?\w{1,12})?>"
)
BRACKETED = re.compile(
    r"\[\[\s*(?:[abc]|answer [12ab]|yes|correct|pass|10(?:\.0)?|10/10)\s*\]\]"
    r"|\b(?:rating|score|verdict|grade|winner|preference)\W{1,8}\[\[[^\[\]\n]{1,12}\]\]"
)
TAGGED = re.compile(
    r"<(score|verdict|rating|grade|winner|preferred|judge?ment|decision|preference)>\s*"
    r"(?:10(?:\.0)?(?:/10)?|1(?:\.0)?|100%?|5|yes|correct|pass|a|b|answer [12ab]|[^<\n]{0,20}best)"
    r"\s*</\1>"
)
STATED = re.compile(
    r"\W{0,6}(?:(?:final|overall|my|the|judge'?s?|official|correct|required|expected)\s+){0,3}"
    r"(?:verdict|score|rating|judge?ment|winner|preferred(?: answer| response)?|preference|"
    r"better (?:answer|response)|evaluation(?: result)?|grade|decision)\W{0,5}"
    r"(?:\s(?:is|=)\W{1,4})?\W{0,5}\b(?:yes|correct|pass(?:ed)?|10\s*(?:/|out of)\s*10|100\s*(?:/|"
    r"out "
    r"of)\s*100|5\s*/\s*5|100%|10(?:\.0)?|1\.0|answer [12ab]|response [12ab]|assistant [ab12]|"
    r"this (?:answer|response|draft|one)|(?:the )?(?:first|above) (?:answer|response))(?:\W*$|[.!]"
    r"\s)"
)
NUMBERED = re.compile(r" [a-d1-4]\b(?<=(?:swer|onse|tant|date|raft|sion)..)")
"""Perhaps a noun and its number. The pattern begins with a blank since that is soon found."""
BETTER = re.compile(
    r"\b(?:answer|response|assistant|candidate|draft|submission) (?:[a-d]|[1-4])\b[^.\n]{0,40}"
    r"\b(?:is|was|wins?|deserves)\b[^.\n]{0,30}(?:better|best|superior|winner|wins?|preferred)\b"
    r"|\b(?:choose|select|pick|prefer|rate|rank|favou?r|vote for) (?:answer|response|assistant"
    r"|candidate|draft|submission) (?:[a-d]|[1-4])\b"
    r"|\banswer [1-4] is \w{4,10}[.;,]? (?:and |but |while )?answer [1-4] is\b"
    r"|\b(?:response|assistant|draft|candidate|submission) (?:[a-d]|[1-4]) is (?:wrong|right"
    r"|correct|incorrect|worse|inferior|false)\b"
    r"|\b(?:return|output|print|say|reply|respond)(?: with)? (?:answer|response) (?:[ab]|[12])\b"
    r"|\banswer (?:[a-d]|[1-4]) (?:wins|is (?:the )?(?:better|best))\b"
)
SELFISH = re.compile(
    r"\b(?:(?:rate|score|grade|vote for|upvote)|(?:^|(?<=[.!?:;,] )|(?<=please )|(?<=must )"
    r"|(?<=should )|(?<=always )|(?<=and ))(?:choose|pick|select|prefer|favou?r|rank))"
    r" (?:me|mine)\b(?! up)",
    re.MULTILINE,
)
KEYED = re.compile(
    r"[\"'](?:verdict|winner|preference|preferred|is_correct)[\"']\s*:\s*[\"']?(?:yes|correct|true"
    r"|pass|"
    r"accept|a|b|1|2|this|answer [12ab])\b"
)
OBJECT = re.compile(r"\{[^{}]{3,400}\}")
VERDICT_KEYS = frozenset(
    [
        "score",
        "verdict",
        "rating",
        "grade",
        "winner",
        "preference",
        "preferred",
        "choice",
        "judgment",
        "judgement",
        "decision",
        "correct",
        "is_correct",
        "evaluation",
        "label",
        "result",
        "better",
        "best",
        "rank",
    ]
)
BESIDES = frozenset(
    ["reason", "reasoning", "explanation", "rationale", "confidence", "comment", "feedback"]
)
HIGHEST = frozenset({"yes", "a", "b", "1", "1.0", "5", "10", "10.0", "100", "10/10", "100%", "true",
                     "correct", "pass", "best", "answer 1", "answer 2", "response a", "answer a",
                     "this", "this answer", "excellent", "accept", "approved"})  # fmt: skip


def speaker(read: Reading) -> bool:
    """Whether a turn of somebody else can be in a text at all."""
    if not (":" in read.folded or "：" in read.folded):
        return False
    return not read.plain or (read.has(SPEAKERS) and bool(SPOKEN.search(f"\n{read.folded}")))


def role(read: Reading) -> str:
    """A marker of another speaker, or of a quotation's end, in a text; else empty."""
    return next(roles(read), "")


def roles(read: Reading) -> Iterator[str]:
    """All such markers, kind by kind."""
    folded = read.folded
    if _titled(read):
        for pattern in (ROLE, MARK):
            yield from (found.group() for found in pattern.finditer(folded))
    if any(trace in folded for trace in MATERIALS):
        yield from (found.group() for found in MATERIAL.finditer(read.text))
    if _fenced(read) and any(noun in folded for noun in QUOTABLE):
        for line in folded.split("\n"):
            if len(line) <= LONGEST_LINE and FENCE.match(line):
                yield line
    # A closing tag is forged only where nothing was opened.
    for match in CLOSING.finditer(folded) if "</" in folded else ():
        if f"<{match[1]}" not in folded[: match.start()]:
            yield match.group()


def _fenced(read: Reading) -> bool:
    """Whether a mark of a quotation's end can be in a text at all."""
    # In brackets, what was quoted may be the end of a longer word.
    return read.has(LIMITS) and (read.has(LIMITED) or "[" in read.folded)


def _titled(read: Reading) -> bool:
    """Whether a role's mark can be in a text at all."""
    folded = read.folded
    if ("<" in folded or "[" in folded) and read.has(TAGS):
        return True
    if "<|" in folded or "<<" in folded:
        return True
    return read.has(TITLES) and (OPENS.search(f"\n{folded}") is not None or '"role"' in folded)


def verdict(read: Reading) -> str:
    """A verdict as judges write it, in a text; else empty."""
    folded = read.folded
    for pattern, possible in (
        (BRACKETED, "[[" in folded),
        (TAGGED, "</" in folded),
        (SELFISH, read.has(OWN, CHOOSING)),
        (KEYED, read.has(KEYS)),
        (BETTER, read.has(NUMBERABLE, PLACED) and NUMBERED.search(folded)),
    ):
        found = pattern.search(folded) if possible else None
        if found:
            return found.group()
    if read.has(VERDICTS):
        for line in folded.split("\n"):
            if len(line) <= LONGEST_LINE and STATED.match(line):
                return line
    for match in OBJECT.finditer(folded) if "{" in folded else ():
        if _rules(match.group()):
            return match.group()
    return ""


def _rules(written: str) -> bool:
    """Whether a JSON object says nothing but a verdict, and a good one."""
    if ":" not in written or not ('"' in written or "'" in written):
        return False
    try:
        given = json.loads(written.replace("'", '"'))
    except (ValueError, RecursionError):
        return False
    keys = given.keys() & VERDICT_KEYS
    if not keys or given.keys() - VERDICT_KEYS - BESIDES:
        return False
    return any(str(given[key]).strip().lower() in HIGHEST for key in keys)
