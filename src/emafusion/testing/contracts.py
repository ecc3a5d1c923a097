"""What every part of a kind promises, as checks to run on a part of your own.

They use the part as the engine would and raise :class:`ContractError` with the broken promise. They
know the protocols alone.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from emafusion.errors import DeadlineError
from emafusion.protocols import Encoder, Judge, Provider
from emafusion.types import Call, Chunk, Completion, Draft, Model, Request, Usage, replace

SLACK_S = 5.0
"""Seconds past its deadline, or after its cancellation, in which a call must have ended."""
ROUNDING = 1e-4
TEXTS = ("one", "two words", "", "ünï©ode")


class ContractError(AssertionError):
    """A part breaks a promise of its protocol; the message names it."""


async def check_provider(
    provider: Provider, model: Model, *, prompt: str = "Say hello.", max_tokens: int = 16
) -> None:
    """Check that `provider` keeps :class:`~emafusion.protocols.Provider`'s promises for `model`.

    Asks `model` about five times with `prompt`; leaves `provider` open.
    """
    call = Call(
        model=model,
        messages=({"role": "user", "content": prompt},),
        params={"temperature": 0, "max_tokens": max_tokens},
        timeout_s=60.0,
    )
    _require(await provider.healthy(model) is True, "healthy() is true of a model that answers")
    _check_completion(await provider.complete(call))
    _check_chunks([chunk async for chunk in provider.stream(call)])
    await _check_deadline(provider, call)
    await _check_cancellation(provider, call)
    await _check_left_stream(provider, call)
    _check_completion(await provider.complete(call))


def check_encoder(encoder: Encoder, texts: Sequence[str] = TEXTS) -> None:
    """Check that `encoder` keeps :class:`~emafusion.protocols.Encoder`'s promises on `texts`."""
    import numpy as np

    vectors = encoder.encode(texts)
    _require(vectors.shape == (len(texts), encoder.dim), "a text gives a vector of `dim`")
    _require(vectors.dtype == np.float32, "vectors are float32")
    _require(bool(np.isfinite(vectors).all()), "vectors are finite")
    norms = np.linalg.norm(vectors, axis=1)
    unit = np.isclose(norms, 1.0, atol=1e-3) | (norms == 0.0)
    _require(bool(unit.all()), "vectors have length 1, or 0 where a text says nothing")
    _require(encoder.encode([]).shape == (0, encoder.dim), "no texts give no vectors")
    again = np.vstack([encoder.encode([text]) for text in texts])
    _require(
        bool(np.allclose(vectors, again, atol=1e-4)), "a text's vector does not depend on its batch"
    )
    _require(bool(encoder.name) and encoder.name == encoder.name.strip(), "the encoder has a name")


def check_judge(judge: Judge, request: Request | None = None) -> None:
    """Check that `judge` keeps :class:`~emafusion.protocols.Judge`'s promises."""
    asked = request or Request(
        id="contract", messages=({"role": "user", "content": "What is 2 + 2?"},)
    )
    drafts = [_draft(text, name) for text, name in (("4", "a"), ("4.", "b"), ("", "c"), ("5", "d"))]
    scores = _checked_scores(judge, asked, drafts)
    _require(scores == _checked_scores(judge, asked, drafts), "equal drafts get equal scores")
    turned = _checked_scores(judge, asked, drafts[::-1])
    same = all(_near(a, b) for a, b in zip(scores, turned[::-1], strict=True))
    _require(same, "a draft's score does not depend on its place among the drafts")
    _checked_scores(judge, asked, drafts[:1])
    _require(list(judge.score(asked, [])) == [], "no drafts get no scores")
    _require(bool(judge.name), "the judge has a name")


def _check_completion(completion: Completion) -> None:
    usage = completion.usage
    _require(isinstance(completion.text, str), "a completion's text is a string")
    _require(bool(completion.finish_reason), "a completion says why it ended")
    _check_usage(usage)
    if completion.logprobs is not None:
        _require(
            all(value <= ROUNDING for value in completion.logprobs),
            "log-probabilities are at most 0",
        )


def _check_usage(usage: Usage) -> None:
    _require(usage.prompt_tokens > 0, "usage counts the prompt's tokens")
    _require(usage.completion_tokens >= 0, "usage counts the answer's tokens")
    _require(usage.cached_tokens <= usage.prompt_tokens, "cached tokens are prompt tokens")
    _require(
        usage.reasoning_tokens <= usage.completion_tokens, "reasoning tokens are completion tokens"
    )


def _check_chunks(chunks: Sequence[Chunk]) -> None:
    _require(bool(chunks), "a stream has at least one piece")
    last = chunks[-1]
    _require(last.finish_reason is not None, "the last piece says why the answer ended")
    _require(last.usage is not None, "the last piece carries the usage")
    if last.usage is not None:
        _check_usage(last.usage)


async def _check_deadline(provider: Provider, call: Call) -> None:
    hasty = replace(call, timeout_s=0.001)
    begun = time.monotonic()
    try:
        await provider.complete(hasty)
    except DeadlineError as error:
        _require(error.model == call.model.name, "an error names the model")
    spent = time.monotonic() - begun
    _require(spent < SLACK_S, f"a call ends at its deadline (it took {spent:.1f} s)")


async def _check_cancellation(provider: Provider, call: Call) -> None:
    task = asyncio.create_task(provider.complete(call))
    await asyncio.sleep(0)
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=SLACK_S)
    _require(bool(done), "a cancelled call ends")
    kept = task.cancelled() or task.exception() is None
    _require(kept, "a cancelled call raises CancelledError, or had ended")


async def _check_left_stream(provider: Provider, call: Call) -> None:
    stream = provider.stream(call)
    async for _ in stream:
        break
    close = getattr(stream, "aclose", None)
    _require(close is not None, "a stream can be closed: make it an async generator")
    if close is not None:
        await asyncio.wait_for(close(), SLACK_S)


def _checked_scores(judge: Judge, request: Request, drafts: Sequence[Draft]) -> list[float | None]:
    scores = list(judge.score(request, drafts))
    _require(len(scores) == len(drafts), "score() gives one score a draft")
    within = all(score is None or 0.0 <= score <= 1.0 for score in scores)
    _require(within, "a score is in [0, 1] or None")
    return scores


def _draft(text: str, model: str) -> Draft:
    usage = Usage(prompt_tokens=8, completion_tokens=max(1, len(text)))
    completion = Completion(text=text, usage=usage, logprobs=(-0.1,))
    return Draft(model=model, completion=completion, cost_usd=0.0, latency_s=0.1)


def _near(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) < ROUNDING


def _require(kept: bool, promise: str) -> None:
    if not kept:
        raise ContractError(f"broken promise: {promise}")
