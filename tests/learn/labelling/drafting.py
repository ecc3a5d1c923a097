"""What the labelling tests share: recorded drafts of models whose worth is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from emafusion.evaluate.recorded import Recorded
from emafusion.types import Completion, Draft, Usage


def draft(model: str, text: str) -> Draft:
    usage = Usage(prompt_tokens=10, completion_tokens=max(len(text.split()), 1))
    completion = Completion(text=text, usage=usage)
    return Draft(model=model, completion=completion, cost_usd=1e-4, latency_s=0.1)


def recorded(
    texts: Sequence[Sequence[str | None]],
    *,
    models: Sequence[str],
    prompts: Sequence[str] | None = None,
    scores: np.ndarray | None = None,
    tasks: Sequence[str] | None = None,
) -> Recorded:
    """Outcomes of drafts with these `texts`; without `scores` nobody marked them."""
    shape = (len(texts), len(models))
    known = np.full(shape, np.nan) if scores is None else scores
    return Recorded(
        queries=tuple(f"q{n}" for n in range(shape[0])),
        prompts=tuple(prompts or (f"Write a letter about topic {n}." for n in range(shape[0]))),
        splits=("train",) * shape[0],
        tasks=tuple(tasks or ("generation",) * shape[0]),
        models=tuple(models),
        scores=known,
        costs=np.full(shape, 1e-4),
        prompt_tokens=np.full(shape, 10.0),
        tokens=np.full(shape, 10.0),
        seconds=np.full(shape, 0.1),
        drafts=tuple(
            tuple(
                None if text is None else draft(model, text)
                for model, text in zip(models, row, strict=True)
            )
            for row in texts
        ),
        digest="",
    )
