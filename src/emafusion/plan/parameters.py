"""What a request's parameters leave us free to make of it.

Knows the chat protocol's parameters that say how an answer is sampled, paid or filed, and those
that speak of its form. Every other one may be met by an answer as its model gave it and by no
other, so a request that has one is left to one model as it stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from emafusion.types import Request

FREE = frozenset(
    {
        "temperature",
        "top_p",
        "top_k",
        "min_p",
        "seed",
        "max_tokens",
        "max_completion_tokens",
        "frequency_penalty",
        "presence_penalty",
        "repetition_penalty",
        "reasoning_effort",
        "verbosity",
        "stream",
        "stream_options",
        "user",
        "metadata",
        "store",
        "service_tier",
        "safety_identifier",
        "prompt_cache_key",
        "prompt_cache_retention",
        "tool_choice",
        "parallel_tool_calls",
    }
)
"""Parameters that leave the form of an answer open, so that it may as well come in parts.

Tools that nobody offers are not chosen either; where they are offered, ``tools`` says so.
"""

FORM = frozenset({"response_format", "stop", "logit_bias"})
"""Parameters that speak of one answer's form: a whole one can be judged and written by it."""

NEUTRAL: Final[Mapping[str, object]] = {
    "n": 1,
    "logprobs": False,
    "top_logprobs": 0,
    "response_format": {"type": "text"},
    "modalities": ["text"],
}
"""What some clients send to say nothing, beside ``null`` and what is empty."""


def one_voice(request: Request) -> bool:
    """Whether only one model can speak, by tools, several choices or anything not known here."""
    return not _said(request) <= FREE | FORM


def formless(request: Request) -> bool:
    """Whether several answers, joined, would be what `request` asks for as well as one."""
    return _said(request) <= FREE


def _said(request: Request) -> set[str]:
    """The parameters of `request` that say something."""
    return {
        name
        for name, value in request.params.items()
        if value not in (None, "", [], {}, ()) and NEUTRAL.get(name) != value
    }
