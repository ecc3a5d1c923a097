"""What one call may cost at most, by its model's price table.

Counts everything that a vendor bills for: messages, tools, schemas, predictions, images, files.
Every kind of token that a request can bring about counts at its dearest: longer prompts' prices,
tokens written to a prompt cache, audio and images. Knows prices and what is in a request; not which
models may answer it, nor how often they are asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from emafusion.catalog import tokens
from emafusion.errors import RequestError
from emafusion.types import Call, Model, Request
from emafusion.types.models import PriceTier

CHARACTERS_PER_TOKEN: Final = 16
"""Of a sound's base64: the fewest that make a token."""
IMAGE_TOKENS: Final = 16_384
"""The most that one image counts as with most vendors: Qwen's bound; others' are below 7,000."""
LARGE_IMAGES: Final[Mapping[str, int]] = {"gpt-4o-mini": 2_833 + 8 * 5_667}
"""Whose images count more: a base and eight tiles of 512 pixels, the most that fit 2,048 x 768."""
TOOLS_BESIDE: Final = 600
"""Tokens of the prompt by which vendors tell a model how to call tools."""
LONGEST_ANSWER: Final = 4096
"""Tokens that an answer is counted as whose caller sets no bound."""
MOST_SAMPLES: Final = 128
"""Answers that one request may ask for: the protocol's own bound."""

_SCALARS = (int, float, type(None))
_TOLD: Final[Mapping[object, frozenset[str]]] = {
    None: frozenset({"text"}),
    "text": frozenset({"type", "text", "cache_control"}),
    "image_url": frozenset({"type", "image_url", "cache_control"}),
    "input_audio": frozenset({"type", "input_audio", "cache_control"}),
}
"""The fields of each kind of part that are counted by what they hold."""


class Prompt:
    """What is asked, as far as it decides on the price.

    Attributes
    ----------
    tokens : int
        Of its text, at most: messages, tools, schemas and every further field. Images and files
        are not in it.
    images : int
        How many there are.
    media : bool
        Whether it has parts that may have prices of their own: audio, images, files.
    filling : bool
        Whether it has parts that may fill the model's window: files, whatever is not known.
    predicted : int
        Tokens of a predicted answer: what is not used of it is billed as if it were answered.
    samples : int
        How many answers it asks for.
    marked : bool
        Whether it asks its vendor to keep a part of it in a prompt cache.

    Raises
    ------
    RequestError
        It asks for more answers than :data:`MOST_SAMPLES`.
    """

    __slots__ = ("filling", "images", "marked", "media", "predicted", "samples", "tokens")

    def __init__(self, asked: Request | Call) -> None:
        self.tokens = 0
        self.images = 0
        self.media = self.filling = self.marked = False
        self.predicted = 0
        self.samples = samples(asked.params)
        for message in asked.messages:
            self.tokens += tokens.count_texts(message)
            self.marked = self.marked or "cache_control" in message
            # A sound that was answered before is named, and billed again.
            self.filling = self.filling or "audio" in message
            for part in _parts(message.get("content")):
                self._see(part)
        if asked.params:
            self._read(asked.params)

    def most(self, model: Model) -> int:
        """The most tokens that it has where `model` is asked."""
        most = self.tokens + tokens.count(model.system or "")
        if self.images:
            most += self.images * _image_tokens(model.upstream)
        return most + model.context_window if self.filling else most

    def _see(self, part: Mapping[str, object]) -> None:
        self.marked = self.marked or "cache_control" in part
        kind = part.get("type")
        told = _TOLD.get(kind) if isinstance(kind, (str, type(None))) else None
        if told is None and kind != "refusal":
            self.media = self.filling = True
            return
        if kind == "image_url":
            self.images += 1
            self.media = True
        elif kind == "input_audio":
            self.media = True
            self.tokens += len(str(part.get("input_audio"))) // CHARACTERS_PER_TOKEN
        rest = [value for name, value in part.items() if name not in (told or ())]
        if rest:
            self.tokens += tokens.count(str(rest))

    def _read(self, params: Mapping[str, object]) -> None:
        for name, value in params.items():
            if isinstance(value, _SCALARS):
                continue
            self.tokens += tokens.count(name) + tokens.count(str(value))
            if name == "prediction":
                self.predicted = tokens.count(str(value))
            elif name in ("tools", "functions"):
                self.tokens += TOOLS_BESIDE
                listed = value if isinstance(value, (list, tuple)) else ()
                self.marked = self.marked or any(map(_marked, listed))
            elif name == "cache_control":
                self.marked = True


def asking_usd(model: Model, prompt: Prompt, *, beside: int = 0) -> float:
    """What `prompt` alone may cost, with `beside` more tokens, US dollars."""
    asked = prompt.most(model) + beside
    bases = _bases(model, asked)
    usd = max([min(asked, most) * _dearest_in(model, base, prompt) for base, most in bases])
    return (usd + prompt.predicted * _dearest(model, asked)) / 1e6


def answering_usd(model: Model, prompt: Prompt, *, beside: int = 0) -> float:
    """What one token of the answer's length may cost, times the answers asked for, US dollars."""
    return prompt.samples * _dearest(model, prompt.most(model) + beside) / 1e6


def samples(params: Mapping[str, object]) -> int:
    """How many answers one call asks for; raises :class:`RequestError` for too many."""
    asked = params.get("n", 1)
    if not isinstance(asked, int) or asked <= 1:
        return 1
    if asked > MOST_SAMPLES:
        raise RequestError(f"n must be a whole number from 1 to {MOST_SAMPLES}", "n")
    return asked


def _image_tokens(upstream: str) -> int:
    found = [most for name, most in LARGE_IMAGES.items() if name in upstream]
    return max(found, default=IMAGE_TOKENS)


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
    return max(filter(None, prices), default=0.0)


def _dearest(model: Model, asked: int) -> float:
    """The dearest million tokens of an answer to a prompt of at most `asked` tokens."""
    prices = [model.usd_per_mtok_audio_out, model.usd_per_mtok_image_out]
    prices += [base.usd_per_mtok_out for base, _ in _bases(model, asked)]
    return max(filter(None, prices), default=0.0)


def _parts(content: object) -> Iterator[Mapping[str, object]]:
    if isinstance(content, (list, tuple)):
        yield from (part for part in content if isinstance(part, Mapping))


def _marked(tool: object) -> bool:
    return isinstance(tool, Mapping) and "cache_control" in tool
