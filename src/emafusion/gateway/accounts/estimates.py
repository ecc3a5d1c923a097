"""What one call may cost at most: what a budget reserves for it.

Knows how long an answer is reserved for whose caller does not say; what the prompt comes to is
:mod:`emafusion.catalog.bounds`' affair, which the engine's own limit counts by as well.
"""

from __future__ import annotations

from typing import Final

from emafusion.catalog import bounds
from emafusion.catalog.bounds import Prompt
from emafusion.types import Model, Request

LONGEST_ANSWER: Final = 4096
"""Tokens that are reserved for an answer whose caller sets no bound."""
BESIDE: Final = 64
"""Tokens that a vendor's own template may add to a prompt."""


def most_usd(model: Model, request: Request, prompt: Prompt) -> float:
    """What one call of `model` may cost for `request`, US dollars.

    The answer is as long as the request allows, else :data:`LONGEST_ANSWER`.
    """
    longest = min(request.max_tokens or LONGEST_ANSWER, model.max_output)
    usd = bounds.asking_usd(model, prompt, beside=BESIDE)
    usd += longest * bounds.answering_usd(model, prompt, beside=BESIDE)
    # A hair more: whoever divides by the price again must not find one token less.
    return usd * (1.0 + 1e-9)
