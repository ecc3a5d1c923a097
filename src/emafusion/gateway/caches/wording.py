"""A question's words without what does not change its answer.

Knows English: its contractions, courtesies, a few turns of phrase and words of one meaning.
Whatever else differs, differs: another number, name, negation, unit, word or order of words. Of
questions in other languages only case, marks and spacing are looked through.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence

LONGEST = 600
"""Characters of a question that is looked at."""
_MOST_WORDS = 80
_SHORT = 3

_CODE = re.compile(r"```|[{}\\<>|`\x00]|\n\s*\n|\n\s{2,}|;\s*\n|\w\(\)|\w_\w|\w\.\w+\(|://")
# What asks about its own letters, words and marks: none of them is beside the point then.
_OF_WORDS = re.compile(
    r"\b(?:letters?|words?|wording|spell\w*|misspel\w*|syllab\w*|rhym\w*|punctuat\w*|commas?|hyphen\w*"
    r"|apostroph\w*|capitals|capitali[sz]\w*|capital letters?|upper-?case|lower-?case|characters?"
    r"|vowels?|consonants?|anagrams?|palindrom\w*|backwards|alphabet\w*|gramma\w*|sentences?"
    r"|typos?|contractions?|contracted|acronyms?|abbreviat\w*|pronou?nc\w*|pronunciation|proofread"
    r"|correct\w*|rewrite|rephrase|reword|paraphrase|translate|translation|synonyms?|etymolog\w*"
    r"|nouns?|verbs?|adjectives?|adverbs?|pronouns?|tense|plural|dialects?|british|american english"
    r"|quote[ds]?|quotation|verbatim|repeat|echo|tokens?|haiku|poem|verse)\b",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"\"[^\"]*\"|(?<!\w)'[^']*'(?!\w)")
_GREETING = re.compile(r"^\s*(?:hi|hello|hey)(?: there)?\s*[,.!]\s+", re.IGNORECASE)
_THANKS = re.compile(
    r"(?<=[,.?!])\s*(?:please|thanks|thanks a lot|thank you|thank you very much)\s*[.!]*\s*$",
    re.IGNORECASE,
)
_TOKEN = re.compile(
    r"\x00\d+\x00"  # where a quotation stands
    r"|\d+(?:[.,:/\-]\d+)*"  # numbers, dates, times
    r"|[^\W\d_]+(?:['\-][^\W\d_]+)*"  # words
    r"|[.;?](?=[^\s.;?])"  # a full stop that ends nothing, as in ".NET"
    r"|(?<!\w{2})!|!(?=\S)"  # "5!" and "!=", but no exclamation
    r"|[^\s.;!?]"  # commas, for now, and marks that carry meaning
)
_STRAIGHT = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "–": "-", "—": "-", "−": "-"})


def _table(lines: str) -> Mapping[tuple[str, ...], list[str]]:
    """A line each of ``some words, others = what stands for them``; the longest words first."""
    found: dict[tuple[str, ...], list[str]] = {}
    for line in lines.strip().splitlines():
        froms, _, into = line.partition("=")
        for each in froms.split(","):
            found[tuple(each.split())] = into.split()
    return dict(sorted(found.items(), key=lambda item: -len(item[0])))


_CONTRACTIONS = _table(
    """
    can't, cannot = can not
    won't = will not
    what's = what is
    who's = who is
    where's = where is
    when's = when is
    how's = how is
    that's = that is
    there's = there is
    it's = it is
    i'm = i am
    i'd = i would
    i've = i have
    i'll = i will
    you're = you are
    we're = we are
    they're = they are
    """
)
# One word for another only where no question comes to mind that it would change: no "film" for
# "movie", which cameras tell apart, no "buy" for "purchase", which orders do.
_SAME = _table(
    """
    analyse = analyze
    automobile = car
    behaviour = behavior
    calculate = compute
    centre = center
    colour = color
    couch = sofa
    favourite = favorite
    litre = liter
    litres = liters
    metre = meter
    metres = meters
    kilometre = kilometer
    kilometres = kilometers
    neighbour = neighbor
    optimise = optimize
    organise = organize
    organisation = organization
    photo = photograph
    recognise = recognize
    refrigerator = fridge
    summarise = summarize
    television = tv
    theatre = theater
    """
)
# What leads up to a question without asking anything.
_OPENINGS = _table(
    """
    i would like you to, i want you to, i need you to, i would like to know, i want to know =
    i need to know, i was wondering, i am wondering =
    can you tell me, could you tell me, would you tell me, will you tell me = tell me
    can you please, could you please, would you please, will you please, please, kindly =
    """
)
_TELL = _table("tell me, give me, do you know =")
# What may end an order without changing it.
_ENDINGS = _table("for me, to me =")
_TURNS = _table(
    """
    how do i, how can i, how do we, how can we, how should one, how does one = how to
    what is the way to, what is a way to = how to
    what is the definition of = define
    give me a list of, make a list of, give a list of, write a list of = list
    give me = give
    show me = show
    write me = write
    which = what
    """
)
_ASKED_OF_YOU = frozenset({"can", "could", "would", "will"})
_ORDERS = frozenset(
    """
    compare compute convert correct define describe draft explain find fix generate give identify
    list name outline paraphrase provide rewrite rephrase show solve suggest summarize translate
    write
    """.split()  # noqa: SIM905 - forty quoted words read worse
)
_QUESTIONS = frozenset({"what", "who", "where", "when", "why", "how"})
_COPULAS = frozenset({"is", "are", "was", "were"})
# What a sentence begins with that asks with or without a question mark.
_ASKING = (
    _QUESTIONS
    | _COPULAS
    | _ORDERS
    | _ASKED_OF_YOU
    | {"am", "did", "do", "does", "had", "has", "have", "may", "must", "should", "whom", "whose"}
)
_LEADING = frozenset({"in", "on", "at", "for", "during", "among", "within", "with", "according"})
# Words that mean another thing as a name: where they are written as one, they stay so.
_CASED = frozenset(
    """
    access aids amazon apple april august bill bush case china grant harry jack japan jordan lent
    march mark mercury mobile nice oracle polish reading rich rose rust shell swift turkey will
    windows word
    """.split()  # noqa: SIM905
)


def read(text: str) -> tuple[str, ...] | None:
    """The words that `text` asks with; equal ones ask the same.

    ``None`` where it is too long, code, about words themselves, or says nothing.
    """
    if len(text) > LONGEST or _CODE.search(text) or _OF_WORDS.search(text):
        return None
    # Not NFKC, for which "x²" were "x2".
    text = _plain(unicodedata.normalize("NFC", text).translate(_STRAIGHT))
    quoted: list[str] = []

    def placed(found: re.Match[str]) -> str:
        quoted.append(found[0])
        return f" \x00{len(quoted) - 1}\x00 "

    words = _bare(_words(_QUOTED.sub(placed, text), quoted))
    if words and words[0] not in _ASKING and text.rstrip().endswith("?"):
        words.append("?")
    return tuple(words) if 0 < len(words) <= _MOST_WORDS else None


def _plain(text: str) -> str:
    """`text` without greeting and thanks; what follows a colon may be the very matter."""
    return text if ":" in text else _THANKS.sub("", _GREETING.sub("", text))


def _words(text: str, quoted: Sequence[str]) -> list[str]:
    """The words of `text` in lower case, quotations as they are, contractions in full."""
    words: list[str] = []
    for found in _TOKEN.finditer(text):
        token, lower = found[0], found[0].lower()
        if token[0] == "\x00":
            words.append(quoted[int(token.strip("\x00"))])
        elif (lower,) in _CONTRACTIONS:
            words += _CONTRACTIONS[lower,]
        elif lower.endswith("n't"):
            words += (lower[:-3], "not")
        elif token != lower and _named(token, text, found.start()):
            words.append(token)
        elif lower == "the" and text[found.end() + 1 : found.end() + 2].isupper():
            words.append("The")  # of a name: "the Cure" is no cure
        else:
            words += _SAME.get((lower,), (lower,))
    return words


def _named(token: str, text: str, place: int) -> bool:
    """Whether `token` is another word for its capitals: "US", "Co" and "CO", "Polish", "mW"."""
    lower = token.lower()
    if lower == "i" or (len(token) > _SHORT and lower not in _CASED):
        return False
    if not token[1:].islower() and len(token) > 1:
        return not text.isupper()
    before = text[:place].rstrip()
    return bool(before) and before[-1] not in ".!?:"


def _bare(words: list[str]) -> list[str]:
    """`words` as a plain question or order."""
    words = _without_ends(_led(words))
    words = _led_by(words, _TURNS) or words
    if len(words) > 2 and words[0] in _QUESTIONS and words[-1] in _COPULAS:
        words = [words[0], words[-1], *words[1:-1]]
    if words[:2] == ["what", "does"] and words[-1] == "mean" and len(words) > 3:
        words = ["define", *words[2:-1]]
    return [word for word in words if word not in ("the", ",")]


def _led(words: list[str]) -> list[str]:
    """`words` from where the question begins; a leading phrase of place or time goes to the end."""
    rest = _unled(words)
    while rest is not None:
        words = rest
        rest = _unled(words)
    if words and words[0] in _LEADING and words.count(",") == 1:
        comma = words.index(",")
        if comma < len(words) - 1:
            return [*_led(words[comma + 1 :]), *words[:comma]]
    return words


def _unled(words: list[str]) -> list[str] | None:
    """`words` without one thing that leads them; ``None`` where nothing does."""
    rest = words[1:] if words[:1] == [","] else _led_by(words, _OPENINGS)
    if rest is not None:
        return rest
    told = _led_by(words, _TELL) or [""]
    if told[0] in _QUESTIONS:
        return told
    if told[0] == "the":
        return ["what", "is", *told]
    if len(words) > 2 and words[0] in _ASKED_OF_YOU and words[1] == "you" and words[2] in _ORDERS:
        return words[2:]
    return None


def _without_ends(words: list[str]) -> list[str]:
    while words and words[-1] == ",":
        words = words[:-1]
    if words and words[0] in _ORDERS:
        for ending in _ENDINGS:
            if len(words) > len(ending) and tuple(words[-len(ending) :]) == ending:
                return words[: -len(ending)]
    return words


def _led_by(words: list[str], table: Mapping[tuple[str, ...], list[str]]) -> list[str] | None:
    """`words` with what leads them changed as the table has it; ``None`` where it has nothing."""
    for lead, other in table.items():
        if len(words) > len(lead) and tuple(words[: len(lead)]) == lead:
            return [*other, *words[len(lead) :]]
    return None
