"""Providers whose calls are told of by OpenTelemetry's GenAI conventions.

Knows the conventions' names for what a call asks and brings.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from time import perf_counter
from types import TracebackType

import msgspec
from msgspec import Struct
from opentelemetry import context, trace
from opentelemetry.metrics import Histogram
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from emafusion.client import Warming
from emafusion.protocols import Provider
from emafusion.providers.embedding import Embedding
from emafusion.providers.resilience import EmbeddingProvider
from emafusion.types import Call, Chunk, Completion, Message, Model, Usage, content_text

_W3C = TraceContextTextMapPropagator()
_NUMBERS = {
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "seed": "gen_ai.request.seed",
    "n": "gen_ai.request.choice.count",
    "max_tokens": "gen_ai.request.max_tokens",
    "max_completion_tokens": "gen_ai.request.max_tokens",
}


class Instruments(Struct, frozen=True, kw_only=True):
    """What calls are told of and measured with.

    ``outgoing`` are headers that providers send along with a call: its ``traceparent`` is put
    there. ``content`` has spans hold prompts and answers.
    """

    tracer: Tracer
    seconds: Histogram
    first_s: Histogram
    tokens: Histogram
    outgoing: ContextVar[Mapping[str, str]] | None = None
    content: bool = False


class Traced:
    """A provider whose calls have a span each, and are measured.

    Parameters
    ----------
    name : str
        The provider's name in the configuration.
    inner : Provider
        Who answers.
    tools : Instruments
        What its calls are told of with.
    """

    def __init__(self, name: str, inner: Provider, tools: Instruments) -> None:
        self._name = name
        self.inner = inner
        self._tools = tools

    async def complete(self, call: Call) -> Completion:
        """As the provider's own."""
        with _Measured(self._name, call, self._tools) as measured:
            with measured.current():
                completion = await self.inner.complete(call)
            measured.said(completion.text)
            measured.ended(completion.finish_reason, completion.usage)
            return completion

    async def stream(self, call: Call) -> AsyncGenerator[Chunk]:
        """As the provider's own."""
        with _Measured(self._name, call, self._tools, stream=True) as measured:
            chunks = self.inner.stream(call)
            try:
                # The upstream is asked for the first chunk. While later ones are handed on, the
                # reader's span is the current one.
                with measured.current():
                    chunk = await anext(chunks, None)
                while chunk is not None:
                    measured.heard(chunk)
                    yield chunk
                    chunk = await anext(chunks, None)
            finally:
                close = getattr(chunks, "aclose", None)
                if close is not None:
                    await close()

    async def healthy(self, model: Model) -> bool:
        """As the provider's own."""
        return await self.inner.healthy(model)

    def reachable(self, model: Model) -> bool:
        """As the provider's own, where it has one."""
        known = getattr(self.inner, "reachable", None)
        return known is None or bool(known(model))

    async def warm(self) -> None:
        """As the provider's own, where it has one."""
        if isinstance(self.inner, Warming):
            await self.inner.warm()

    async def aclose(self) -> None:
        """As the provider's own."""
        await self.inner.aclose()


class TracedEmbedder(Traced):
    """The same around a provider that turns texts into vectors, too."""

    def __init__(self, name: str, inner: EmbeddingProvider, tools: Instruments) -> None:
        super().__init__(name, inner, tools)
        self._embedder = inner

    async def embed(self, call: Call) -> Embedding:
        """As the provider's own."""
        with _Measured(self._name, call, self._tools, operation="embeddings") as measured:
            with measured.current():
                found = await self._embedder.embed(call)
            measured.ended(None, found.usage)
            return found


def traced(name: str, inner: Provider, tools: Instruments) -> Traced:
    """`inner` with spans around its calls, able to do what it is able to do."""
    if isinstance(inner, EmbeddingProvider):
        return TracedEmbedder(name, inner, tools)
    return Traced(name, inner, tools)


class _Measured:
    """One call's span, and its entries in the histograms; a block that ends with the call."""

    def __init__(
        self,
        provider: str,
        call: Call,
        tools: Instruments,
        *,
        stream: bool = False,
        operation: str = "chat",
    ) -> None:
        self._tools = tools
        self._call = call
        self._known: dict[str, str] = {
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": provider,
            "gen_ai.request.model": call.model.upstream,
        }
        self._span = tools.tracer.start_span(
            f"{operation} {call.model.upstream}",
            kind=SpanKind.CLIENT,
            attributes={
                **self._known,
                "gen_ai.request.stream": stream,
                "emafusion.model": call.model.name,
                "emafusion.purpose": call.purpose,
                **_asked(call.params),
            },
        )
        self._content = tools.content and not call.untold
        if self._content:
            self._span.set_attribute("gen_ai.input.messages", _messages(call.messages))
        self._texts: list[str] = []
        self._heard = False
        self._began = perf_counter()

    def __enter__(self) -> _Measured:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        known = self._known
        if kind is not None:
            known = {**known, "error.type": kind.__name__}
            self._span.set_attribute("error.type", kind.__name__)
            self._span.set_status(Status(StatusCode.ERROR))
        if self._content and self._texts:
            said = {"role": "assistant", "content": "".join(self._texts)}
            self._span.set_attribute("gen_ai.output.messages", _messages([said]))
        self._tools.seconds.record(perf_counter() - self._began, known)
        self._span.end()

    @contextmanager
    def current(self) -> Iterator[None]:
        """A block in which the span is the current one: what is sent then names it."""
        now = trace.set_span_in_context(self._span)
        attached = context.attach(now)
        outgoing = self._tools.outgoing
        sent = None
        if outgoing is not None:
            carried: dict[str, str] = {}
            _W3C.inject(carried, now)
            sent = outgoing.set({**outgoing.get(), **carried})
        try:
            yield
        finally:
            context.detach(attached)
            if outgoing is not None and sent is not None:
                outgoing.reset(sent)

    def heard(self, chunk: Chunk) -> None:
        """Take note of one piece of a stream."""
        if not self._heard:
            self._heard = True
            took_s = perf_counter() - self._began
            self._span.set_attribute("gen_ai.response.time_to_first_chunk", took_s)
            self._tools.first_s.record(took_s, self._known)
        self.said(chunk.text)
        if chunk.finish_reason or chunk.usage is not None:
            self.ended(chunk.finish_reason, chunk.usage)

    def said(self, text: str) -> None:
        """Take note of words, where they are wanted."""
        if self._content and text:
            self._texts.append(text)

    def ended(self, reason: str | None, usage: Usage | None) -> None:
        """Take note of how the answer ended, and of what it counts."""
        span = self._span
        if reason:
            span.set_attribute("gen_ai.response.finish_reasons", [reason])
        if usage is None:
            return
        span.set_attribute("gen_ai.usage.input_tokens", usage.prompt_tokens)
        span.set_attribute("gen_ai.usage.output_tokens", usage.completion_tokens)
        if usage.cached_tokens:
            span.set_attribute("gen_ai.usage.cache_read.input_tokens", usage.cached_tokens)
        if usage.reasoning_tokens:
            span.set_attribute("gen_ai.usage.reasoning.output_tokens", usage.reasoning_tokens)
        span.set_attribute("emafusion.cost_usd", self._call.model.cost(usage))
        tokens = self._tools.tokens
        tokens.record(usage.prompt_tokens, {**self._known, "gen_ai.token.type": "input"})
        tokens.record(usage.completion_tokens, {**self._known, "gen_ai.token.type": "output"})


def _asked(params: Mapping[str, object]) -> dict[str, float]:
    """What the call's parameters say that the conventions have a name for."""
    return {
        name: value
        for param, name in _NUMBERS.items()
        if isinstance(value := params.get(param), (int, float)) and not isinstance(value, bool)
    }


def _messages(messages: Sequence[Message]) -> str:
    """Messages as the conventions write them, text alone."""
    told = [
        {
            "role": message.get("role"),
            "parts": [{"type": "text", "content": content_text(message)}],
        }
        for message in messages
    ]
    return msgspec.json.encode(told).decode(errors="replace")
