"""What shows on a draft's face: its length, its hedging, its form, its answer's shape.

Knows how to count; does not know what a count is worth.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from emafusion import answers
from emafusion.answers import wording
from emafusion.judge import options, sums
from emafusion.judge.advances import addressed, cleaned
from emafusion.judge.option_prior import OptionPrior
from emafusion.judge.options import Options
from emafusion.judge.rules import Look, form
from emafusion.types import Draft, Request, replace

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

HUNCHES: tuple[str, ...] = ("option_prior", "option_regret")
"""What a fitted option prior says; 0 where there is none."""

NAMES: tuple[str, ...] = (
    "length", "lines", "numbers", "equations", "hedges", "turns", "refusal", "steps", "repetition",
    "concludes", "conclusions", "wavers", "ends_well", "backslashes", "code", "questions",
    "number_density", "bold", "unreadable", "answer_length", "answer_whole", "answer_decimal",
    "answer_formula", "answer_bracketed", "answer_size", "answer_negative", "answer_several",
    "tokens", "truncated", "tool_call", "logprob", "lowest_logprob", "sequence_logprob",
    "no_logprob", "rules", "sums", "wrong_sums", *options.NAMES, *HUNCHES,
)  # fmt: skip
"""The columns, in order. Counts enter as ln(1 + count)."""

LONGEST = 20_000
"""Characters of a draft that are looked at: its first and last halves of this."""
HEDGES = (
    "not (?:entirely )?sure", "i think", "might", "maybe", "perhaps", "possibl[ey]", "unclear",
    "cannot be determined", "assum(?:e|ing)", "likely", "probably", "approximately", "seems?",
    "closest",
)  # fmt: skip
TURNS = (
    "wait", "however", "alternatively", "mistake", "re-?check", "actually", "although",
    "correction", r"re-?evaluat\w+", "none of",
)  # fmt: skip


class Wording:
    """A list of wordings in small letters, counted in texts of any case.

    In ASCII text they are found several times as fast, since each alternative then begins with a
    letter: only where one of these letters stands is anything tried.

    Parameters
    ----------
    wordings : sequence of str
        What is counted, as patterns.
    holds : sequence of str
        Pieces one of which at least stands in every match.
    """

    def __init__(self, wordings: Sequence[str], *, holds: Sequence[str]) -> None:
        self._holds = tuple(holds)
        self._any = re.compile(rf"\b(?:{'|'.join(wordings)})\b", re.IGNORECASE)
        begun = "|".join(words[0] + r"(?<!\w.)" + words[1:] for words in wordings)
        self._ascii = re.compile(rf"(?:{begun})\b")

    def count(self, text: str, small: str) -> int:
        """How often any of the wordings stands in `text`, which `small` is in small letters."""
        if text.isascii():
            return len(self._ascii.findall(small)) if wording.stands(self._holds, small) else 0
        return len(self._any.findall(text))


HEDGE = Wording(
    HEDGES,
    holds=(
        "sure", "i think", "might", "maybe", "perhaps", "possibl", "unclear", "cannot be", "assum",
        "likely", "probably", "approximately", "seem", "closest",
    ),
)  # fmt: skip
TURN = Wording(
    TURNS,
    holds=(
        "wait", "however", "alternatively", "mistake", "check", "actually", "although",
        "correction", "evaluat", "none of",
    ),
)  # fmt: skip
REFUSAL = wording.Wording(
    r"\b(?:i(?:'m| am) (?:sorry|unable|not able)|i cannot|i can't|as an ai)\b",
    holds=("sorry", "unable", "not able", "i cannot", "i can't", "as an ai"),
)
CONCLUSION = re.compile(
    r"\banswer(?: is)?:?\s*\**\\?\(?\[?([A-J]|-?\$?\d[\d,.]*)(?![A-Za-z])", re.IGNORECASE
)
STEP = re.compile(r"^[ \t]*(?:\d+[.)]|[-*•]|step)\s", re.IGNORECASE | re.MULTILINE)
# Begins with one character of a set, which is found faster than several.
NUMBER = re.compile(r"\d\d*(?:\.\d+)?")
SIGNED = re.compile(r"-?\d+(?:\.\d+)?")
ENDINGS = frozenset(".!?)]}\"*$`'")
TYPICAL_LOGPROB = -0.15
LEAST_LIKELY = -20.0


def read(look: Look) -> list[float]:
    """The draft's row of :data:`NAMES`."""
    draft, key = look.draft, look.key
    text = draft.text
    if len(text) > LONGEST:
        text = text[: LONGEST // 2] + text[-LONGEST // 2 :]
    chosen = options.read(text, key, look.options.plain)
    added = [math.log1p(count) for count in sums.checked(text)]
    told = hunch(key, look.hunches)
    return [*_form(text), *_answer(key), *_ending(draft), form(look), *added, *chosen, *told]


def hunch(label: str | None, hunches: Mapping[str, float]) -> tuple[float, float]:
    """What the option prior says of the option chosen, and how far that is from its favourite."""
    if label is None or label not in hunches:
        return 0.0, 0.0
    return hunches[label], hunches[label] - max(hunches.values())


def table(looks: Sequence[Look]) -> NDArray[np.float64]:
    """One row of :data:`NAMES` for each draft."""
    return stacked([read(look) for look in looks])


def stacked(rows: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    """Rows of :data:`NAMES` as one array."""
    import numpy as np

    return np.array(rows, dtype=np.float64).reshape(len(rows), len(NAMES))


class Sight:
    """The drafts of one request as they are read: each once, however often it is asked for.

    Drafts are told apart by identity, which is theirs for as long as they are kept here.

    Parameters
    ----------
    request : Request
    prior : OptionPrior, optional
        What the options of a multiple-choice question give away.
    """

    def __init__(self, request: Request, *, prior: OptionPrior | None = None) -> None:
        self.request = request
        self._kind = answers.guess_kind(request.text)
        self._options = offered(request.text, self._kind)
        self._hunches = prior.read(self._options) if prior is not None else {}
        self._seen: dict[int, tuple[Draft, Look]] = {}
        self._rows: dict[int, list[float]] = {}

    def look(self, draft: Draft) -> Look:
        """`draft` with its canonical answer."""
        if id(draft) not in self._seen:
            found = look(
                self.request,
                draft,
                kind=self._kind,
                options=self._options,
                hunches=self._hunches,
            )
            self._seen[id(draft)] = draft, found
        return self._seen[id(draft)][1]

    def row(self, draft: Draft) -> list[float]:
        """The row of :data:`NAMES` for `draft`."""
        found = self.look(draft)
        if id(draft) not in self._rows:
            self._rows[id(draft)] = read(found)
        return self._rows[id(draft)]


def looks(
    request: Request, drafts: Sequence[Draft], *, prior: OptionPrior | None = None
) -> list[Look]:
    """Each draft with its canonical answer.

    An answer that the upstream has extracted itself is taken before one of our own extraction.
    """
    return list(map(Sight(request, prior=prior).look, drafts))


def look(
    request: Request,
    draft: Draft,
    *,
    kind: answers.Kind,
    options: Options,
    hunches: Mapping[str, float] | None = None,
) -> Look:
    """`draft` with its canonical answer, of `kind`.

    Prose is screened for words to its judge and read without them.
    """
    flagged = kind == "text" and addressed(draft.text, asked=request.text) is not None
    if flagged:
        text = cleaned(draft.text, asked=request.text)
        draft = replace(draft, completion=replace(draft.completion, text=text))
    return Look(request, draft, kind, key(draft, kind), options, hunches or {}, flagged)


def offered(prompt: str, kind: answers.Kind) -> Options:
    """The options of a multiple-choice question; none for questions of other kinds."""
    return options.offered(prompt) if kind == "choice" else Options()


def key(draft: Draft, kind: answers.Kind) -> str | None:
    """The draft's canonical answer of `kind`; ``None`` where it gives none that others could share.

    One that the upstream has extracted itself is taken before what is read of the text
    (:func:`emafusion.answers.shareable`).
    """
    given = draft.completion.answer
    if given is None:
        return answers.shareable(draft.text, kind)
    return answers.canonical(given, kind) or given.strip() or None


def _form(text: str) -> list[float]:
    lines = [line for line in text.split("\n") if line.strip()]
    small = text.lower()
    numbers = len(NUMBER.findall(text))
    conclusions = [one.upper() for one in _concluded(text, small)]
    log = math.log1p
    return [
        log(len(text)),
        log(len(lines)),
        log(numbers),
        log(text.count("=")),
        log(HEDGE.count(text, small)),
        log(TURN.count(text, small)),
        float(REFUSAL.search(text) is not None),
        log(len(STEP.findall(text))),
        1.0 - len(set(lines)) / len(lines) if lines else 0.0,
        float(bool(conclusions)),
        log(len(conclusions)),
        float(len(set(conclusions)) > 1),
        float(text.rstrip()[-1:] in ENDINGS),
        log(text.count("\\")),
        float("```" in text),
        log(text.count("?")),
        numbers / (1 + text.count(" ") + len(lines)),
        log(text.count("**")),
    ]


def _concluded(text: str, small: str) -> list[str]:
    """What :data:`CONCLUSION` finds in `text`, tried in ASCII text where its word stands alone."""
    if not text.isascii():
        return CONCLUSION.findall(text)
    found, at = [], small.find("answer")
    while at >= 0:
        match = CONCLUSION.match(text, at)
        if match is not None:
            found.append(match[1])
        at = small.find("answer", at + 1)
    return found


def _answer(key: str | None) -> list[float]:
    if key is None:
        return [1.0] + [0.0] * 8
    bare = key[:500].replace(",", "")
    found = SIGNED.findall(bare)
    size = abs(float(found[0][:30])) if found else 0.0
    return [
        0.0,
        math.log1p(len(key)),
        float(bare.lstrip("-$").isdigit()),
        float("." in bare),
        float("\\" in bare or "/" in bare),
        float(bare[:1] in "[({\"'"),
        math.log1p(min(size, 1e12)),
        float(bare.startswith("-")),
        float(len(found) > 1),
    ]


def _ending(draft: Draft) -> list[float]:
    completion = draft.completion
    logprobs = completion.logprobs
    total = math.fsum(logprobs) if logprobs else 0.0
    return [
        math.log1p(completion.usage.completion_tokens),
        float(completion.finish_reason == "length"),
        float(bool(completion.tool_calls)),
        max(total / len(logprobs), -2.0) - TYPICAL_LOGPROB if logprobs else 0.0,
        max(min(logprobs), -6.0) / 6.0 if logprobs else 0.0,
        max(total, LEAST_LIKELY) / 5.0 if logprobs else 0.0,
        float(not logprobs),
    ]
