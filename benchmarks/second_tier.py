"""What comparing and rewriting drafts brings: collects outcomes of it, and measures the policy.

    python benchmarks/second_tier.py FOLDER --collect --by MODEL --minutes 30
    python benchmarks/second_tier.py FOLDER

FOLDER holds recorded outcomes with their questions' graders. ``--collect`` lets a configured model
write from recorded drafts, and compare the two drafts of others, in the very words an engine would
use; rows join FOLDER's ``combinings.parquet`` as they come, and questions already there are not
asked again. Without it the policy is fitted and told by rows that each fit left out.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from emafusion import answers, artefacts, config, encoders
from emafusion.config.build import model as described
from emafusion.config.build import replaying
from emafusion.config.clock import SystemClock
from emafusion.engine import Engine
from emafusion.errors import ProviderError
from emafusion.evaluate.questions import Question
from emafusion.evaluate.recorded import Recorded, read
from emafusion.execute import Ledger, Limits
from emafusion.execute.brief import fitting
from emafusion.judge import ComparisonJudge, screened
from emafusion.learn import combinings
from emafusion.learn.combinings import Combined
from emafusion.learn.fit import second_tier
from emafusion.learn.fit.policy import learn, prepare
from emafusion.learn.interchange import read_questions
from emafusion.plan.combining import ACTIONS, Action
from emafusion.types import Draft, Request
from emafusion.understand import FastClassifier

MOST_TOKENS = 256
PATIENCE_S = 900.0
"""A busy machine is slow, not broken."""
CONTROL = 12
"""One question in so many whose drafts agree is asked too."""
LONGEST = 500
"""Characters of a prompt and its drafts together, beyond which a question is passed over."""
SYNTHESES = 12
"""Syntheses for each comparison: most panels leave no judge that did not draft."""

Task = tuple[Action, int, tuple[str, ...]]


def tasks(recorded: Recorded, by: str, *, longest: int) -> list[Task]:
    """What to ask, in an order that the questions' names draw; any beginning is a fair sample."""
    others = tuple(name for name in recorded.models if name != by)
    panels = [*((other, by) for other in others), others, recorded.models]
    found: dict[Action, list[tuple[bytes, Task]]] = {action: [] for action in ACTIONS}
    for row, query in enumerate(recorded.queries):
        if any(draft is None for draft in recorded.drafts[row]):
            continue
        drawn = hashlib.sha256(query.encode()).digest()
        panel = panels[drawn[0] % len(panels)]
        wanted: list[tuple[Action, tuple[str, ...]]] = [("synthesise", panel)]
        wanted += [("compare", others)] * (len(others) == 2)
        for action, asked in wanted:
            texts = [draft.text for draft in drafts_of(recorded, row, asked)]
            kind = answers.guess_kind(recorded.prompts[row])
            differ = len({answers.canonical(text, kind) for text in texts}) > 1
            short = len(recorded.prompts[row]) + sum(map(len, texts)) < longest
            control = action == "synthesise" and drawn[1] % CONTROL == 0
            if short and (differ or control):
                found[action].append((drawn[2:], (action, row, asked)))
    ordered = {action: [task for _, task in sorted(all_)] for action, all_ in found.items()}
    written, compared = ordered["synthesise"], iter(ordered["compare"])
    mixed: list[Task] = []
    for place, task in enumerate(written, start=1):
        mixed.append(task)
        if place % SYNTHESES == 0:
            mixed += [one for one in [next(compared, None)] if one is not None]
    return [*mixed, *compared]


def drafts_of(recorded: Recorded, row: int, names: Sequence[str]) -> list[Draft]:
    """The recorded drafts of the models `names`."""
    places = [recorded.models.index(name) for name in names]
    return [draft for place in places if (draft := recorded.drafts[row][place]) is not None]


async def collect(folder: Path, by: str, *, minutes: float, longest: int) -> None:
    """Ask until the time is over, each answer kept as it comes."""
    recorded = read(folder).where(("train", "val"))
    questions = {one.id: one for part in read_questions(folder).values() for one in part}
    settings = config.load(None)
    parts = config.providers(settings)
    models = [described(name, one, parts) for name, one in settings.models.items()]
    engine = replaying(shipped(), models, parts)
    rows = combinings.read(folder)
    done = {(row.query, row.action, row.panel) for row in rows}
    end = time.monotonic() + 60.0 * minutes
    try:
        for task in tasks(recorded, by, longest=longest):
            action, row, panel = task
            query = recorded.queries[row]
            if (query, action, panel) in done:
                continue
            if time.monotonic() > end:
                break
            try:
                rows.append(await one(engine, recorded, task, by=by, question=questions[query]))
            except ProviderError as failure:
                print(f"{query}: {failure}")
                continue
            combinings.write(folder, rows)
            print(f"{len(rows)} rows")
    finally:
        await engine.aclose()


async def one(
    engine: Engine, recorded: Recorded, task: Task, *, by: str, question: Question
) -> Combined:
    """One call, or the two of a comparison, as the engine would make it."""
    action, row, panel = task
    query, prompt = recorded.queries[row], recorded.prompts[row]
    request = Request(id=query, messages=({"role": "user", "content": prompt},))
    drafts = drafts_of(recorded, row, panel)
    limits = Limits(call_timeout_s=PATIENCE_S)
    ledger = Ledger(engine.models, engine.providers, clock=SystemClock(), limits=limits)
    if action == "compare":
        scores = await ComparisonJudge().compare(request, drafts, judge=by, port=ledger)
        first, second = scores
        text = json.dumps(scores)
        score = None if first is None or second is None else preference(first, second)
    else:
        text = await written(engine, request, drafts, by=by, ledger=ledger)
        score = question.grade(text) if text.strip() else 0.0
    steps = ledger.steps
    return Combined(
        query=query,
        action=action,
        by=by,
        panel=panel,
        score=score,
        cost_usd=ledger.spent,
        prompt_tokens=sum(step.usage.prompt_tokens for step in steps),
        completion_tokens=sum(step.usage.completion_tokens for step in steps),
        latency_s=sum(step.latency_s for step in steps),
        text=text,
    )


def preference(first: float, second: float) -> float:
    """P(the first is better) of two strengths, each P(better than an average draft)."""
    odds = [share / (1.0 - share) for share in (first, second)]
    return odds[0] / (odds[0] + odds[1])


async def written(
    engine: Engine, request: Request, drafts: Sequence[Draft], *, by: str, ledger: Ledger
) -> str:
    """What the model `by` writes of `drafts`."""
    stages, models = engine.stages, list(engine.models.values())
    labels = await stages.classifier.understand(request, ledger)
    forecast = stages.predictor.predict(request, labels, models)
    told = await stages.panel.assess(request, forecast, drafts, port=ledger)
    shown = [screened(draft, request.text) for draft in drafts]
    messages = fitting(request, shown, confidences=told.confidences)
    if messages is None:
        return ""
    params = {"temperature": 0.0, "max_tokens": MOST_TOKENS}
    reply = await ledger.complete(by, messages, purpose="write", params=params)
    return reply.text


def measure(folder: Path) -> None:
    """Print what each action brings, and what the policy would make of it."""
    encoder = encoders.default()
    classifier = FastClassifier.from_arrays(shipped().under("understand"), encoder)
    recorded = read(folder).where(("train", "val"))
    material = prepare(recorded, classifier=classifier, encoder=encoder)
    learnt = learn(material)
    if learnt.decided is None:
        print("too few queries that every model has answered")
        return
    seen = second_tier.Seen.of(
        learnt.decided,
        material.recorded,
        labels=material.inputs.labels,
        qualities=learnt.forecasts.union,
    )
    rows = combinings.read(folder)
    for line in report(rows, seen, material.recorded):
        print(line)


def report(rows: Sequence[Combined], seen: second_tier.Seen, recorded: Recorded) -> Iterator[str]:
    """Figures of each action, whether or not there are enough of it to fit a policy on."""
    for action in ACTIONS:
        mine = [row for row in rows if row.action == action]
        table = second_tier.tried(rows, seen, recorded, action=action)
        usable = 0 if table is None else len(table.stopped)
        mute = sum(row.score is None for row in mine)
        yield f"{action}: {len(mine)} recorded, {mute} unreadable, {usable} of differing drafts"
        if table is None or usable < 2:
            continue
        if action == "synthesise":
            gains = table.other - table.stopped
            error = float(gains.std(ddof=1)) / math.sqrt(usable)
            yield f"  selected {table.stopped.mean():.3f}, rewritten {table.other.mean():.3f}"
            yield f"  better {(gains > 0).sum()}, worse {(gains < 0).sum()}, s.e. {error:.3f}"
        else:
            ties = int((np.abs(table.odds[:, 1]) < second_tier.CLEAR).sum())
            yield f"  ties {ties} of {usable}"
    fitted = second_tier.fit(rows, seen, recorded)
    for name, value in fitted.figures.items():
        yield f"  {name} {value:.6g}"
    yield f"acts: {', '.join(fitted.gains) or 'never'}"


def shipped() -> artefacts.Artefact:
    """The policy that ships."""
    return artefacts.read(Path(config.__file__).parent / "policy")


def main() -> None:
    """Collect, or measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--collect", action="store_true")
    parser.add_argument("--by", default="qwen2.5-coder-1.5b")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--longest", type=int, default=LONGEST)
    told = parser.parse_args()
    if told.collect:
        asyncio.run(collect(told.folder, told.by, minutes=told.minutes, longest=told.longest))
    else:
        measure(told.folder)


if __name__ == "__main__":
    main()
