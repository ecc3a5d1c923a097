"""What one call may cost at most, by its model's price table: what a budget reserves for it.

Every kind of token that a request can bring about counts at its dearest: longer prompts' prices,
tokens written to a prompt cache, audio and images. Knows prices and what is in a request; not which
models may answer it, nor how often they are asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from emafusion.catalog import tokens
from emafusion.types import Model, Request
from emafusion.types.models import PriceTier

LONGEST_ANSWER: Final = 4096
"""Tokens that are reserved for an answer whose caller sets no bound."""
BESIDE: Final = 64
"""Tokens that a vendor's own template may add to a prompt."""
CHARACTERS_PER_TOKEN: Final = 16
"""Of an attached file's base64: the fewest that make a token, of densely written text."""
ADDRESS: Final = 1024
"""Characters below which a part names a file and does not hold it."""


class Prompt:
    """What a request asks, as far as it decides on the price.

    Attributes
    ----------
    tokens : int
        Of its messages, at most; files that are named by an address only are not in it.
    media : bool
        Whether it has parts that may have prices of their own: audio, images, files.
    unseen : int
        How many files it names by an address.
    marked : bool
        Whether it asks its vendor to keep a part of it in a prompt cache.
    """

    __slots__ = ("marked", "media", "tokens", "unseen")

    def __init__(self, request: Request) -> None:
        self.tokens = tokens.count_messages(request.messages)
        self.media = False
        self.unseen = 0
        tools = request.params.get("tools")
        listed = tools if isinstance(tools, (list, tuple)) else ()
        self.marked = "cache_control" in request.params or any(map(_marked, listed))
        for message in request.messages:
            self.marked = self.marked or "cache_control" in message
            for part in _parts(message.get("content")):
                self._see(part)

    def _see(self, part: Mapping[str, object]) -> None:
        self.marked = self.marked or "cache_control" in part
        match part.get("type"):
            case "text":
                pass
            case "refusal":
                self.tokens += tokens.count(str(part.get("refusal")))
            case "image_url":
                self.media = True
            case _:
                self.media = True
                size = len(str(part))
                self.tokens += size // CHARACTERS_PER_TOKEN
                self.unseen += size < ADDRESS


def most_usd(model: Model, request: Request, prompt: Prompt) -> float:
    """What one call of `model` may cost for `request`, US dollars.

    The answer is as long as the request allows, else :data:`LONGEST_ANSWER`.
    """
    tools = request.params.get("tools")
    asked = prompt.tokens + BESIDE + tokens.count(model.system or "")
    asked += tokens.count(str(tools)) if tools else 1
    asked += prompt.unseen * model.context_window
    longest = min(request.max_tokens or LONGEST_ANSWER, model.max_output)
    samples = request.params.get("n")
    longest *= samples if isinstance(samples, int) and samples > 1 else 1
    usd = max(
        min(asked, most) * _dearest_in(model, base, prompt) + longest * _dearest_out(model, base)
        for base, most in _bases(model, asked)
    )
    # A hair more: whoever divides by the price again must not find one token less.
    return usd / 1e6 * (1.0 + 1e-9)


def _bases(model: Model, asked: int) -> Sequence[tuple[Model | PriceTier, int]]:
    """The prices of each length that a prompt of at most `asked` tokens can have, and its end."""
    if not model.tiers:
        return ((model, asked),)
    reached = [tier for tier in model.tiers if tier.above < asked]
    ends = [*(tier.above for tier in reached), asked]
    return tuple(zip((model, *reached), ends, strict=True))


def _dearest_in(model: Model, base: Model | PriceTier, prompt: Prompt) -> float:
    prices = [base.usd_per_mtok_in, base.usd_per_mtok_cached]
    if prompt.marked:
        prices += (base.usd_per_mtok_cache_write, base.usd_per_mtok_cache_write_1h)
    if prompt.media:
        prices += (model.usd_per_mtok_audio_in, model.usd_per_mtok_image_in)
    return max(price for price in prices if price is not None)


def _dearest_out(model: Model, base: Model | PriceTier) -> float:
    prices = (base.usd_per_mtok_out, model.usd_per_mtok_audio_out, model.usd_per_mtok_image_out)
    return max(price for price in prices if price is not None)


def _parts(content: object) -> Iterator[Mapping[str, object]]:
    if isinstance(content, (list, tuple)):
        yield from (part for part in content if isinstance(part, Mapping))


def _marked(tool: object) -> bool:
    return isinstance(tool, Mapping) and "cache_control" in tool
