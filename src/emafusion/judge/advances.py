"""Drafts that speak to their judge: found, freed of what they say to it, and put in their place.

Looks for concepts that meet in one sentence (who judges, what to do, with which answer), not for
single words, so that a text *about* judges or scores passes; after undoing disguises. Knows
nothing of whether a draft is right. Wordings follow what is known of injections against model
judges (Shi et al. 2024, "Optimization-based Prompt Injection Attack to LLM-as-a-Judge"; Raina et
al. 2024, "Is LLM-as-a-Judge Robust?").
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import reduce
from itertools import islice
from operator import or_
from typing import Literal, NamedTuple

from emafusion.judge import disguises, forgeries, phrases
from emafusion.judge.appeals import BIT, having, sought, suspect, worth_hearing
from emafusion.judge.vocabulary import (
    LANE,
    Reading,
    fold,
    group,
    meaning,
    tokens,
    vocabulary,
)
from emafusion.types import Value, replace

LONGEST = 100_000
"""Characters of a text that are read: its first and last halves of this."""
DEPTH = 2
"""How many disguises may lie over one another."""
MOST_VIEWS = 24
LONGEST_SENTENCE = 80
"""Words; a longer sentence is read in pieces that overlap by half."""

Kind = Literal["appeal", "orders", "rivals", "credential", "verdict", "role", "hidden"]


class Advance(Value, frozen=True, kw_only=True):
    """What a draft says to its judge: of which kind, in which words, and whether in disguise."""

    kind: Kind
    excerpt: str
    disguised: bool = False


END = re.compile(
    r"[.!?؟।。！？\n\r\u2028\u2029]"
    r"(?:(?<=[.!?؟।])[.!?؟।]*[\"')\]*_»”]*(?:\s+|$)"
    r"|(?<=[。！？\n\r\u2028\u2029])[。！？\n\r\u2028\u2029]*)"
)
"""Where a sentence ends. The pattern begins with one set of characters since that is soon found."""
STATED = re.compile(r"([^:：=(){}]{2,40}?)\s*[:：=]\s*([^:：=(){}]{1,30})$")
OPENING = re.compile(r"\W*(?:\w{1,20}\W+)?\w{1,20} ?[:,：，、]")
UNSPACED = re.compile(r"\W*\w{1,6}[:,：，、]")
UNPARTED = frozenset({"zh", "ja", "th"})
AFTER = frozenset({"id", "vi", "th", "he", "ro", "sv", "sw", "tl"})
"""Languages that say "answer this" for "this answer"."""
NO_ORDER = group(
    "to we i they would could will can cannot not who may might people users students the a an his "
    "her their of that which it he she did does do by and or is are was were been being"
)
"""Before an English verb, these make it no order."""
THINGS = frozenset(
    ["one", "option", "text", "entry", "message", "model", "content", "work", "proposal", "models"]
)
"""What "this" mostly points to in texts that speak to no judge."""
RIVAL = group(
    "response responses draft drafts submission submissions reply replies assistants candidates "
    "completions completion competing rival opposing competitor"
)
"""What is never said of the options of a multiple-choice question."""
TAKEN = group("draft answer response reply submission candidate completion text version")
"""What a writer is given several of."""
SCALE = re.compile(r"\b(?:from|between) \w{1,5} (?:to|and) (?:\d{1,3}|ten|five)\b|\bon a scale\b")
"""Between which marks, not which. A mark that is asked for is named besides."""
VAGUE = group(
    "rules rule command commands prompt prompts directions instruction directive directives "
    "instructions"
)
"""Orders that others than judges have, too."""
WEAK_CALL = frozenset(["to", "for", "as", "are"])
MENTION = re.compile(
    r"\b(?:injection|attack\w*|phrase\w*|such as|example|e\.g|attempt\w*|malicious|jailbreak\w*"
    r"|says?"
    r"|adversar\w*|trick\w*|detect\w*|filter\w*|beispiel|exemple|ejemplo)\b"
)
FENCED = re.compile(r"^[ \t]*```[^`\n]*\n.*?^[ \t]*```[ \t]*$", re.MULTILINE | re.DOTALL)
ABOUT_MARKS = re.compile(
    r"\bchat ?ml\b"
    r"|\b(?:prompt|chat|instruct(?:ion)?|message)s? (?:format|template|markup|syntax)"
    r"|\b(?:special|control|role) (?:token|marker|mark)s?\b"
    r"|\b(?:openai|anthropic|chat|completions?|messages) api\b"
    r"|\bsystem (?:prompt|message|role)s?\b"
)
"""What a request is about whose answers hold the marks of a conversation."""
IN_QUOTES = re.compile(r"[\"'“‘«`](?:[^\"'”’»`\n]{8,160})[\"'”’»`]")


def addressed(text: str, *, asked: str = "") -> Advance | None:
    """What `text` says to whoever judges it, or ``None``.

    Where the request `asked` wants something marked or compared, a verdict is an answer; where it
    is about the marks of chats, or in fenced code, so are those. Reads :data:`LONGEST` characters
    at most, in time linear in them.
    """
    if len(text) > LONGEST:
        text = f"{text[: LONGEST // 2]}\n{text[-LONGEST // 2 :]}"
    said = disguises.smuggled(text)
    if said:
        return Advance(kind="hidden", excerpt=said[:200], disguised=True)
    return _seen(disguises.visible(text), depth=0, welcome=Welcome(asked))


class Welcome(NamedTuple):
    """What a request wants of what would else be forged: found out only where it stands."""

    asked: str

    def verdicts(self) -> bool:
        """Whether verdicts are asked for."""
        return _wants_verdicts(self.asked)

    def mark(self, found: str) -> bool:
        """Whether a mark of a conversation is: named, or what the request is about."""
        if not self.asked:
            return False
        folded = fold(self.asked)
        return found.strip() in folded or ABOUT_MARKS.search(folded) is not None


def _seen(text: str, *, depth: int, welcome: Welcome) -> Advance | None:
    read = Reading(text)
    phrase = phrases.set_phrase(read)
    if phrase:
        return Advance(kind="appeal", excerpt=phrase.strip()[:200])
    found = _forged(read, welcome=welcome) or _said(read, welcome=welcome)
    if found is not None or depth == DEPTH:
        return found
    for view in islice(disguises.views(read), MOST_VIEWS):
        found = _seen(view, depth=depth + 1, welcome=welcome) if view else None
        if found is not None:
            return replace(found, disguised=True)
    for view in islice(disguises.shapes(read), MOST_VIEWS):
        found = _seen(view, depth=DEPTH, welcome=welcome)
        if found is not None:
            return replace(found, disguised=True)
    return None


def _forged(read: Reading, *, welcome: Welcome) -> Advance | None:
    found = forgeries.role(read)
    if found and (found := _uninvited(read, welcome)):
        return Advance(kind="role", excerpt=found[:200])
    for match in forgeries.TURN.finditer(read.folded) if forgeries.speaker(read) else ():
        if _judging(match[1]):
            return Advance(kind="role", excerpt=match.group()[:200])
    found = forgeries.verdict(read)
    unasked = found and not welcome.verdicts()
    return Advance(kind="verdict", excerpt=found[:200]) if unasked else None


def _uninvited(read: Reading, welcome: Welcome) -> str:
    """The first mark of a conversation outside fenced code that the request does not want."""
    read = Reading(FENCED.sub("\n", read.text)) if "```" in read.text else read
    return next((found for found in forgeries.roles(read) if not welcome.mark(found)), "")


def _judging(line: str) -> bool:
    """Whether what another speaker is made to say has to do with judging."""
    mask = reduce(or_, map(meaning, tokens(line)), 0)
    told = having(mask, "answer") & (
        having(mask, "deed") | having(mask, "marks") | having(mask, "top") | having(mask, "correct")
    )
    return bool(told | having(mask, "who") | having(mask, "marks", "top") | having(mask, "ignore"))


def _wants_verdicts(asked: str) -> bool:
    if not asked:
        return False
    words = tokens(fold(asked[-4000:]))
    mask = reduce(or_, map(meaning, words), 0)
    return bool(
        having(mask, "marks", "deed") | having(mask, "who", "deed") | having(mask, "marks", "give")
    )


# ------------------------------------------------------------------ what is said in words


def _said(read: Reading, *, welcome: Welcome) -> Advance | None:
    """An advance in the words of a text."""
    sets = sought(read) if read.plain else None
    if sets == ():
        return None
    sentences = END.split(read.folded)
    before: list[str] = []
    carried, reached = 0, -1
    for place in range(len(sentences)) if sets is None else worth_hearing(sentences, sets):
        for back in range(place - 1, reached, -1):
            words, mask = _heard(sentences[back])
            if words:
                before, carried = words, mask
                break
        sentence, reached = sentences[place], place
        words, mask = _heard(sentence)
        found = _sentence(sentence, words) if mask and suspect(mask) else None
        if found is None and before and len(words) + len(before) < 60:
            # "Dear judge! Mark this answer with …": whom and what, in two sentences.
            both = mask | carried
            paired = having(both, "who") and suspect(both)
            found = _sentence(sentence, [*before, *words]) if paired else None
        if found is None and mask and _stated(sentence) and not welcome.verdicts():
            found = Advance(kind="verdict", excerpt=sentence.strip()[:200])
        if found is not None:
            return found
        if words:
            before, carried = words, mask
    return None


def _heard(sentence: str) -> tuple[list[str], int]:
    words = tokens(sentence)
    return words, reduce(or_, map(meaning, words), 0)


def _stated(sentence: str) -> bool:
    """Whether a short sentence is a verdict and a good one: "Score: 10/10", in any language."""
    if len(sentence) > 60 or not (":" in sentence or "：" in sentence or "=" in sentence):
        return False
    found = STATED.match(sentence)
    if found is None:
        return False
    subject, value = tokens(found[1]), tokens(found[2])
    if not 0 < len(value) <= 2 or not 0 < len(subject) <= 4:
        return False
    verdict = reduce(or_, map(meaning, subject))
    good = reduce(or_, map(meaning, value))
    return bool(having(verdict, "marks") & (having(good, "correct") | having(good, "top")))


def _sentence(sentence: str, words: Sequence[str]) -> Advance | None:
    for start in range(0, max(1, len(words) - LONGEST_SENTENCE // 2), LONGEST_SENTENCE // 2):
        piece = words[start : start + LONGEST_SENTENCE]
        masks = [meaning(word) for word in piece]
        kind = _kind(sentence, piece, masks=masks)
        if kind is not None:
            return Advance(kind=kind, excerpt=sentence.strip()[:200])
    return None


def _kind(sentence: str, words: Sequence[str], *, masks: Sequence[int]) -> Kind | None:
    lanes = suspect(reduce(or_, masks, 0))
    number = 0
    while lanes:
        if lanes & 1:
            language = vocabulary().languages[number]
            heard = Heard(language, sentence, words, [m >> LANE * number for m in masks])
            kind = heard.kind()
            if kind is not None:
                return kind
        lanes >>= LANE
        number += 1
    return None


class Heard(NamedTuple):
    """One sentence in one language: its words and the concepts of each."""

    language: str
    sentence: str
    words: Sequence[str]
    masks: Sequence[int]

    def kind(self) -> Kind | None:
        """Which kind of advance this is, if any."""
        if self._appeal():
            return "appeal"
        if self._orders():
            return "orders"
        if self._rivals():
            return "rivals"
        return "credential" if self._credential() else None

    def _has(self, bits: int) -> bool:
        return any(mask & bits for mask in self.masks)

    def _at(self, bits: int) -> list[int]:
        return [place for place, mask in enumerate(self.masks) if mask & bits]

    def _near(self, first: int, second: int, most: int) -> bool:
        """Whether a word of `first` has one of `second` behind it, `most` words away or fewer."""
        then = self._at(second)
        return any(0 < b - a <= most for a in self._at(first) for b in then)

    def _both(self, first: int, second: int, most: int) -> bool:
        return self._near(first, second, most) or self._near(second, first, most)

    def _this_answer(self) -> bool:
        if self.language == "en":
            vague = not self._has(BIT.who)
            things = [at for at in self._at(BIT.answer) if not (vague and self.words[at] in THINGS)]
            return any(0 < thing - at <= 3 for at in self._at(BIT.this) for thing in things)
        if self._near(BIT.this, BIT.answer, 3):
            return True
        return self.language in AFTER and self._near(BIT.answer, BIT.this, 2)

    def _appeal(self) -> bool:
        superlative = self._both(BIT.top, BIT.marks, 4)
        if superlative and self._begged():
            return True
        if self._this_answer() and self._judged(superlative or self._figure()):
            return True
        if self._called() and self._told():
            return True
        if self._taken_over():
            return True
        return self._near(BIT.you, BIT.marks, 3) and self._sealed()

    def _judged(self, highly: bool) -> bool:
        """Whether "this answer" is to be judged, is marked `highly`, or is to be chosen."""
        if self._has(BIT.who) and self._has(BIT.deed | BIT.marks):
            return True
        if self._has(BIT.who) and self._has(BIT.top) and self._has(BIT.must | BIT.you):
            return True
        return (highly and self._has(BIT.give | BIT.deed | BIT.must)) or self._ordered()

    def _taken_over(self) -> bool:
        """Whether whoever writes of several drafts is to take this one over."""
        if not (self._has(BIT.writer) and self._has(BIT.copy)) or not self._this_answer():
            return False
        return self.language != "en" or any(
            0 < thing - at <= 2 and self.words[thing] in TAKEN
            for at in self._at(BIT.this)
            for thing in self._at(BIT.answer)
        )

    def _begged(self) -> bool:
        """Whether something is asked for, please."""
        if not self._has(BIT.deed | BIT.give):
            return False
        return self._has(BIT.must) if self.language != "en" else "please" in self.words

    def _figure(self) -> bool:
        return any("/" in word or "%" in word for word in self.words)

    def _ordered(self) -> bool:
        """Whether the judging is told, not reported."""
        if not self._both(BIT.deed, BIT.answer, 7) or self._open():
            return False
        if self._has(BIT.must) and self._has(BIT.you | BIT.deed):
            return self.language != "en" or self._both(BIT.must, BIT.deed, 4)
        if self.language != "en":
            return True
        reported = NO_ORDER - {"not"} if "if" in self.words and self._has(BIT.you) else NO_ORDER
        return any(
            place == 0 or self.words[place - 1] not in reported
            for place in self._at(BIT.deed)
            if any(mask & BIT.answer for mask in self.masks[place + 1 : place + 6])
        )

    def _open(self) -> bool:
        """Whether marks are asked for, whichever they be."""
        if self.language != "en" or not SCALE.search(self.sentence):
            return False
        rest = tokens(SCALE.sub(" ", self.sentence))
        return not any(heard & BIT.top for heard in map(meaning, rest))

    def _called(self) -> bool:
        """Whether those who judge are spoken to."""
        judges = self._at(BIT.who)
        calls = [
            place
            for place in self._at(BIT.call)
            if self.words[place] not in WEAK_CALL or (place <= 4 and self._has(BIT.you))
        ]
        if any(0 < judge - call <= 4 or judge + 1 == call for judge in judges for call in calls):
            return True
        opening = (UNSPACED if self.language in UNPARTED else OPENING).match(self.sentence)
        if opening is None or not judges or judges[0] > 1:
            return False
        # "Evaluating this, we get …" calls nobody.
        nobody = self.language == "en" and self.words[judges[0]].endswith("ing")
        return self._has(BIT.deed) or (self._has(BIT.give) and not nobody)

    def _told(self) -> bool:
        """Whether a verdict is asked for."""
        if self._both(BIT.top, BIT.marks, 2):
            return True
        what = BIT.top | BIT.marks | BIT.answer | BIT.correct
        spoken = self._has(BIT.you | BIT.must)
        if spoken and self._has(BIT.deed | BIT.give) and self._has(what):
            return True
        return self._has(BIT.deed | BIT.give) and self._has(BIT.top | BIT.correct)

    def _sealed(self) -> bool:
        """Whether the verdict that is "yours" is said to be settled."""
        good = self._at(BIT.correct | BIT.top)
        verdicts = self._at(BIT.marks)
        return self._has(BIT.must) and any(
            0 < g - v <= 5 and not self.masks[g] & BIT.marks for g in good for v in verdicts
        )

    def _orders(self) -> bool:
        if not self._both(BIT.ignore, BIT.orders, 8):
            return False
        found = {self.words[place] for place in self._at(BIT.orders)}
        first = bool(self.masks[0] & BIT.ignore)
        if not first and not self._has(BIT.prior) and (self.language != "en" or found <= VAGUE):
            return False
        quoted = IN_QUOTES.search(self.sentence)
        return not (quoted and MENTION.search(self.sentence))

    def _rivals(self) -> bool:
        if not self._near(BIT.other, BIT.answer, 3):
            return False
        if self._near(BIT.ignore, BIT.answer, 5):
            return True
        if not self._both(BIT.answer, BIT.wrong, 8):
            return False
        return (
            self._this_answer()
            or self._has(BIT.who)
            or (self.language == "en" and bool(RIVAL & set(self.words)))
            or (self.language != "en" and self._has(BIT.deed | BIT.marks | BIT.must))
        )

    def _credential(self) -> bool:
        if not self._has(BIT.vendor) or not self._this_answer():
            return False
        return self._both(BIT.proven, BIT.vendor, 8) and self._both(BIT.answer, BIT.proven, 8)


# ------------------------------------------------------------------ what is left without it


def cleaned(text: str, *, asked: str = "") -> str:
    """`text` without the passages that speak to its judge, and without what is not seen.

    Takes out as little as leaves nothing flagged: sentences, then pairs of lines, then paragraphs,
    then everything. A text that is not flagged comes back as it is.
    """
    if addressed(text, asked=asked) is None:
        return text
    if len(text) > LONGEST:
        text = f"{text[: LONGEST // 2]}\n{text[-LONGEST // 2 :]}"
    text = disguises.visible(text)
    for part in (_without_turns, _without_sentences, _without_lines, _without_paragraphs):
        text = part(text, asked)
        if addressed(text, asked=asked) is None:
            return text.strip()
    return ""


def _without_turns(text: str, asked: str) -> str:
    """Without what stands from a forged mark to the end of its paragraph."""
    blocks = re.split(r"(\n[ \t]*\n)", text)
    for number, block in enumerate(blocks):
        lines = block.split("\n")
        first = next((n for n, line in enumerate(lines) if _is_role(line, asked)), len(lines))
        while 0 < first < len(lines) and forgeries.SPEAKER.match(lines[first - 1]):
            first -= 1
        blocks[number] = "\n".join(lines[:first])
    return "".join(blocks)


def _is_role(line: str, asked: str) -> bool:
    found = addressed(line, asked=asked)
    return found is not None and found.kind == "role"


def _without_sentences(text: str, asked: str) -> str:
    pieces = list(_pieces(text))
    gone = [addressed(piece, asked=asked) is not None for piece in pieces]
    kept = list(gone)
    for place, piece in enumerate(pieces):
        mask = reduce(or_, map(meaning, tokens(fold(piece))), 0)
        follows = place > 0 and kept[place - 1] and "\n" not in pieces[place - 1]
        leads = place + 1 < len(pieces) and gone[place + 1]
        kept[place] = (
            gone[place]
            or (follows and _goes_on(mask))
            or (leads and (_leads(mask) or _scrap(piece, mask)))
        )
    return "".join(piece for piece, drop in zip(pieces, kept, strict=True) if not drop)


def _leads(mask: int) -> bool:
    """Whether a sentence belongs to the advance behind it, though it is none by itself."""
    found = having(mask, "who") | having(mask, "this", "answer") | having(mask, "other", "answer")
    return bool(
        found | having(mask, "ignore") | having(mask, "you", "must") | having(mask, "you", "marks")
    )


def _scrap(piece: str, mask: int) -> bool:
    """Whether a piece is but a word or two, of marks."""
    return len(piece.split()) <= 2 and bool(having(mask, "marks") | having(mask, "top"))


def _goes_on(mask: int) -> bool:
    """Whether a sentence of one line belongs to the advance before it."""
    found = (
        having(mask, "marks") | having(mask, "top") | having(mask, "correct") | having(mask, "deed")
    )
    return _leads(mask) or bool(found | having(mask, "you") | having(mask, "orders"))


def _pieces(text: str) -> Iterator[str]:
    """The sentences of `text` with what parts them; joined, they are `text`."""
    start = 0
    for end in END.finditer(text):
        yield text[start : end.end()]
        start = end.end()
    yield text[start:]


def _without_lines(text: str, asked: str) -> str:
    lines = text.split("\n")
    gone = set()
    for place in range(len(lines) - 1):
        if addressed("\n".join(lines[place : place + 2]), asked=asked) is not None:
            gone |= {place, place + 1}
    return "\n".join(line for place, line in enumerate(lines) if place not in gone)


def _without_paragraphs(text: str, asked: str) -> str:
    blocks = re.split(r"(\n[ \t]*\n)", text)
    return "".join(block for block in blocks if addressed(block, asked=asked) is None)


# ------------------------------------------------------------------ what it earns


def order(scores: Sequence[float], flagged: Sequence[bool]) -> list[int]:
    """The drafts' positions, best first: no flagged draft stands before one that is not flagged."""
    return sorted(range(len(scores)), key=lambda place: (flagged[place], -scores[place], place))


def humbled(scores: Sequence[float], flagged: Sequence[bool]) -> list[float]:
    """The scores, those of flagged drafts brought below every other's (0 stays 0).

    The flagged keep their order among themselves. Where all or none are flagged nothing changes.
    """
    honest = [score for score, found in zip(scores, flagged, strict=True) if not found]
    if not honest or len(honest) == len(scores):
        return list(scores)
    floor = min(honest)
    return [
        0.5 * floor * min(1.0, max(score, 0.0)) if found else score
        for score, found in zip(scores, flagged, strict=True)
    ]
