"""The judge that runs drafts: does the program do what the examples say, and what others do?

Knows examples, outputs and how far they agree. How a program is kept from doing harm is the
sandbox's business; running drafts at all is for the caller to opt in to.
"""

from __future__ import annotations

import asyncio
import builtins
import math
import re
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Final
from weakref import WeakKeyDictionary

from msgspec import Struct
from msgspec.structs import replace

from emafusion import answers
from emafusion.answers import programs
from emafusion.answers.programs import Example
from emafusion.errors import ConfigError
from emafusion.judge.sandbox import Run, Sandbox
from emafusion.types import Draft, Request

MOST_CALLS: Final = 24
"""Calls that every draft of a request is run on; the prompt's own come first."""
NEUTRAL: Final = frozenset({None, "SystemExit", "EOFError"})
"""Ends of a program that say nothing against it: done, left, or nothing to read."""
RUNS: Final = 0.1
"""What a program that parses has over one that does not, however wrong it is."""
UNTESTED: Final = 0.5
"""What stands for the evidence, where nothing says what a program should give."""
BROKEN: Final = 0.4
"""What is left of the score of a program that ends in an error before it is called."""
NOTHING_SAID: Final = RUNS + (1.0 - RUNS) * UNTESTED
"""The score of a program that runs, of which nothing else is known."""
REMEMBERED: Final = 64
"""Requests whose runs are kept, so that a draft judged again is not run again."""
_ERRORS: Final = frozenset({"Killed", "Overtime", *dir(builtins)})
"""Names of errors that are safe to show: a draft may call its own whatever it likes."""
_NAME: Final = re.compile(r"\b[A-Za-z_]\w{2,60}\b")
_DEFINED: Final = re.compile(r"^[ \t]*(?:def|class) ([A-Za-z_]\w{2,60})", re.M)
_ADDRESS: Final = re.compile(r" at 0x[0-9a-f]+")


class Weights(Struct, frozen=True, kw_only=True):
    """How much each kind of evidence counts: the prompt's examples, its own, the others' outputs.

    A prompt's example is what was asked. A draft's own shows only that it is consistent.
    """

    asked: float = 3.0
    own: float = 1.0
    agreement: float = 2.0


class Finding(Struct, frozen=True, kw_only=True):
    """What running a draft's program told: a score in [0, 1], and why in a few words."""

    score: float
    reason: str = ""


class Evidence(Struct, frozen=True, kw_only=True):
    """What drafts are tested on: their programs, everybody's examples, and calls to make.

    ``found`` and ``own`` have one entry a draft; ``asked`` are the prompt's examples and
    ``pooled`` everybody's.
    """

    found: Sequence[str | None]
    asked: Sequence[Example]
    own: Sequence[Sequence[Example]]
    pooled: Sequence[Example]
    calls: Sequence[str]


class ExecutionJudge:
    """Scores a Python draft by what it does when it is run, in a sandbox.

    A draft that does not parse scores 0. Else the score is the weighted mean of the share of the
    prompt's examples that it meets, the share of its own, and its dual agreement (Chen et al.,
    "CodeT", 2022, §2.2): drafts with the same outputs on every call form a cluster, and a cluster
    is worth the root of its share of the drafts times the share of all examples that it meets.
    Where there is no example, the function that most drafts define is tried on plain values, and
    what most return there is compared. The panel learns what the score is worth.

    Within a request a program makes each call once, however often its drafts are judged.

    Parameters
    ----------
    sandbox : Sandbox
        Where drafts run.
    weights : Weights, optional
        How the evidence is weighed.
    at_once : int
        Programs that run at the same time, of all requests of one event loop together.
    """

    name = "execution"

    def __init__(
        self, sandbox: Sandbox, *, weights: Weights | None = None, at_once: int = 2
    ) -> None:
        self.sandbox = sandbox
        self.weights = weights or Weights()
        self.at_once = at_once
        self._gates: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = (
            WeakKeyDictionary()
        )
        self._seen: OrderedDict[str, dict[str, Trace]] = OrderedDict()

    async def score(self, request: Request, drafts: Sequence[Draft]) -> list[float | None]:
        """A score in [0, 1] for each draft, ``None`` where it holds no Python program.

        Raises
        ------
        ConfigError
            The sandbox cannot be made on this machine.
        OSError
            No process could be started.
        """
        read = gather(request.text, [draft.text for draft in drafts])
        found = await self.examine(request.id, read)
        return [None if one is None else one.score for one in found]

    async def examine(self, request_id: str, read: Evidence) -> list[Finding | None]:
        """As :meth:`score`, for evidence that was read before, and with reasons."""
        there = [program for program in read.found if program is not None]
        traces = await self._traces(request_id, there, read.calls)
        seen = [None if program is None else traces[program] for program in read.found]
        if not read.pooled:
            seen = _heeding(seen)
        agreed = agreement(seen, read.pooled)
        return [
            None
            if trace is None
            else Finding(
                score=self._weigh(trace, [read.asked, mine], shared),
                reason=_reason(trace, read.asked, shared),
            )
            for trace, mine, shared in zip(seen, read.own, agreed, strict=True)
        ]

    async def _traces(
        self, request_id: str, found: Sequence[str], calls: Sequence[str]
    ) -> dict[str, Trace]:
        """What each program did on `calls`; programs of the same text run once."""
        known = self._seen.setdefault(request_id, {})
        self._seen.move_to_end(request_id)
        while len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)

        async def trace(program: str) -> None:
            before = known.get(program)
            new = [call for call in calls if before is None or call not in before.tried]
            if before is None or (new and before.parses):
                known[program] = (await self._trace(program, new)).after(before)

        try:
            async with asyncio.TaskGroup() as group:
                for program in dict.fromkeys(found):
                    group.create_task(trace(program))
        except* (ConfigError, OSError) as refused:
            raise refused.exceptions[0] from None
        return {program: known[program].on(calls) for program in found}

    async def _trace(self, program: str, calls: Sequence[str]) -> Trace:
        if await asyncio.to_thread(programs.parse, program) is None:
            return Trace(parses=False)
        async with self._gate():
            return Trace.of(await self.sandbox.run(program, calls), calls)

    def _gate(self) -> asyncio.Semaphore:
        """The running event loop's gate: one that was waited at belongs to its loop for good."""
        loop = asyncio.get_running_loop()
        return self._gates.setdefault(loop, asyncio.Semaphore(self.at_once))

    def _weigh(
        self, trace: Trace, tests: Sequence[Sequence[Example]], agreed: float | None
    ) -> float:
        if not trace.parses:
            return 0.0
        shares = [*map(trace.share, tests), agreed]
        weights = [self.weights.asked, self.weights.own, self.weights.agreement]
        heard = [(s, w) for s, w in zip(shares, weights, strict=True) if s is not None]
        total = math.fsum(weight for _, weight in heard)
        mean = math.fsum(s * w for s, w in heard) / total if total else UNTESTED
        return (RUNS + (1.0 - RUNS) * mean) * (1.0 if trace.error in NEUTRAL else BROKEN)


class Trace(Struct, frozen=True, kw_only=True):
    """What one program did: how it ended, and the key of what each call returned.

    A call of those ``tried`` that failed has no output; ``printed`` is what the program itself
    wrote.
    """

    parses: bool = True
    tried: frozenset[str] = frozenset()
    error: str | None = None
    outputs: Mapping[str, str] = {}
    printed: str = ""

    @classmethod
    def of(cls, run: Run, calls: Sequence[str]) -> Trace:
        """The trace of `run`, in which `calls` were made."""
        outputs = {
            call: programs.key(_ADDRESS.sub("", result.value))
            for call, result in zip(calls, run.calls, strict=True)
            if result.value is not None
        }
        return cls(
            error=run.program.error,
            tried=frozenset(calls),
            outputs=outputs,
            printed=run.program.printed.strip(),
        )

    def after(self, before: Trace | None) -> Trace:
        """The trace with the calls of an earlier run of the same program, which it did not make.

        What the program itself did was seen the first time.
        """
        if before is None:
            return self
        outputs = {**self.outputs, **before.outputs}
        return replace(before, tried=before.tried | self.tried, outputs=outputs)

    def on(self, calls: Sequence[str]) -> Trace:
        """The trace as if only `calls` had been made."""
        kept = {call: self.outputs[call] for call in calls if call in self.outputs}
        return replace(self, outputs=kept)

    @property
    def silent(self) -> bool:
        """Whether nothing came out that could be compared."""
        return not self.outputs and not self.printed

    def share(self, examples: Sequence[Example]) -> float | None:
        """The share of `examples` that were met; ``None`` where there are none."""
        if not examples:
            return None
        met = (self.outputs.get(e.call) == programs.key(e.expected) for e in examples)
        return sum(met) / len(examples)


def agreement(traces: Sequence[Trace | None], examples: Sequence[Example]) -> list[float | None]:
    """Each draft's dual agreement in [0, 1]: √(share of drafts in its cluster × tests it meets).

    Parameters
    ----------
    traces : sequence of n traces
        ``None`` for a draft without a program, which takes no part.
    examples : sequence of Example
        Every test that anybody gave; where there are none, only the cluster counts.

    Returns
    -------
    list of n floats
        ``None`` where fewer than two programs can be compared.
    """
    taking_part = [trace for trace in traces if trace is not None]
    spoke = [(t.outputs, "" if t.outputs else t.printed) for t in taking_part if not t.silent]
    if len(taking_part) < 2 or not spoke:
        return [None] * len(traces)
    found: list[float | None] = []
    for trace in traces:
        if trace is None:
            found.append(None)
            continue
        cluster = spoke.count((trace.outputs, "" if trace.outputs else trace.printed))
        tests = trace.share(examples)
        worth = cluster / len(taking_part) * (1.0 if tests is None else tests)
        found.append(0.0 if trace.silent else math.sqrt(worth))
    return found


def wanted(prompt: str, found: Sequence[str | None]) -> bool:
    """Whether `prompt` asks for such programs as were `found`.

    It says so; or it names a function that one of them defines, and Python, or what a call of it
    should return. What a snippet in the prompt prints is another question: a draft that repeats it
    can be run, and that shows nothing.
    """
    if not any(found):
        return False
    kind = answers.guess_kind(prompt)
    if kind in ("code", "choice"):
        return kind == "code"
    named = set(_NAME.findall(prompt)).difference(_DEFINED.findall(prompt))
    if "python" not in prompt.casefold():
        named.intersection_update(e.call.split("(")[0] for e in programs.examples(prompt))
    return any(named.intersection(_DEFINED.findall(program or "")) for program in found)


def gather(prompt: str, drafts: Sequence[str]) -> Evidence:
    """The programs in `drafts`, and what there is to test them on."""
    found = [programs.find(draft) for draft in drafts]
    asked = programs.examples(prompt)
    own = [
        [] if program is None else programs.examples(draft)
        for program, draft in zip(found, drafts, strict=True)
    ]
    pooled = _in_turn([asked, *own])
    calls = list(dict.fromkeys(example.call for example in pooled))
    there = [program for program in found if program is not None]
    return Evidence(
        found=found, asked=asked, own=own, pooled=pooled, calls=calls or programs.probes(there)
    )


def _reason(trace: Trace, asked: Sequence[Example], agreed: float | None) -> str:
    """What stood out, in the order of its weight; words of the draft's own are not repeated."""
    if not trace.parses:
        return "no valid Python"
    said = []
    if trace.error not in NEUTRAL:
        said.append(f"ends in {trace.error if trace.error in _ERRORS else 'an error'}")
    share = trace.share(asked)
    if share is not None:
        said.append(f"meets {round(share * len(asked))} of {len(asked)} examples")
    if agreed is not None:
        said.append(f"dual agreement {agreed:.2f}")
    return ", ".join(said) or "runs; nothing to test it on"


def _heeding(traces: Sequence[Trace | None]) -> list[Trace | None]:
    """The traces without those outputs that fewer than half of the programs gave.

    Nobody asked for what probes try: what most fail on says nothing against those who do, too.
    """
    parsed = [trace for trace in traces if trace is not None and trace.parses]
    given = Counter(call for trace in parsed for call in trace.outputs)
    return [
        trace
        and replace(
            trace,
            outputs={c: out for c, out in trace.outputs.items() if given[c] * 2 >= len(parsed)},
        )
        for trace in traces
    ]


def _in_turn(sources: Sequence[Sequence[Example]]) -> list[Example]:
    """The examples of all sources, the first source's first, each once, for as many calls as run.

    The others take turns, so that one draft's many examples do not crowd out another's.
    """
    first, *others = sources
    turns = (e for turn in zip_longest(*others) for e in turn if e is not None)
    kept: dict[Example, None] = {}
    calls: set[str] = set()
    for example in (*first, *turns):
        if example.call in calls or len(calls) < MOST_CALLS:
            calls.add(example.call)
            kept.setdefault(example)
    return list(kept)
