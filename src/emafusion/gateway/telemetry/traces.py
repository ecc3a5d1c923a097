"""OpenTelemetry spans and metrics by the GenAI conventions: a request, its stages, its calls.

Knows the conventions' names. Imported only where telemetry is on. Prompts and answers are part of
nothing unless that was asked for.

References
----------
Semantic conventions for generative AI, https://opentelemetry.io/docs/specs/semconv/gen-ai/
W3C Trace Context, https://www.w3.org/TR/trace-context/
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar, Token
from typing import Final

from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from emafusion.engine import Engine, Stages
from emafusion.gateway.telemetry.calls import Instruments, traced
from emafusion.gateway.telemetry.observations import Observation
from emafusion.gateway.telemetry.stages import traced_stages
from emafusion.types import Outcome, Request

INSTRUMENT: Final = "emafusion"
"""The name of the instrumentation scope."""
_SPAN: Final = "emafusion.span"
_ATTACHED: Final = "emafusion.attached"
_W3C = TraceContextTextMapPropagator()

SECONDS = tuple(0.01 * 2.0**power for power in range(14))
TOKENS = tuple(4.0**power for power in range(14))
"""The buckets that the conventions advise."""


class Traces:
    """A span for each request, its stages and its calls; a listener to observations.

    A caller's ``traceparent`` becomes the span's parent.

    Parameters
    ----------
    spans : TracerProvider
        Where spans go.
    measures : MeterProvider
        Where the conventions' metrics go.
    outgoing : ContextVar, optional
        Headers that providers send along with a call; the call's own ``traceparent`` is put there.
    content : bool
        Have the calls' spans hold prompts and answers.
    """

    def __init__(
        self,
        spans: TracerProvider,
        measures: MeterProvider,
        *,
        outgoing: ContextVar[Mapping[str, str]] | None = None,
        content: bool = False,
    ) -> None:
        self._tracer = spans.get_tracer(INSTRUMENT)
        meter = measures.get_meter(INSTRUMENT)
        self._tools = Instruments(
            tracer=self._tracer,
            seconds=meter.create_histogram(
                "gen_ai.client.operation.duration",
                unit="s",
                description="How long a call took.",
                explicit_bucket_boundaries_advisory=SECONDS,
            ),
            first_s=meter.create_histogram(
                "gen_ai.client.operation.time_to_first_chunk",
                unit="s",
                description="How long a streamed call took to its first chunk.",
                explicit_bucket_boundaries_advisory=SECONDS,
            ),
            tokens=meter.create_histogram(
                "gen_ai.client.token.usage",
                unit="{token}",
                description="Tokens of a call.",
                explicit_bucket_boundaries_advisory=TOKENS,
            ),
            outgoing=outgoing,
            content=content,
        )

    def began(self, seen: Observation) -> None:
        """Open the request's span; what its task does next belongs to it."""
        span = self._tracer.start_span(
            f"{seen.method} {seen.route}",
            context=_W3C.extract(_headers(seen)),
            kind=SpanKind.SERVER,
            attributes={"http.request.method": seen.method, "http.route": seen.route},
        )
        state = seen.scope.setdefault("state", {})
        state[_SPAN] = span
        state[_ATTACHED] = context.attach(trace.set_span_in_context(span))

    def ended(self, seen: Observation) -> None:
        """Say how it ended, and close the span."""
        state = seen.scope["state"]
        span: Span = state.pop(_SPAN)
        token: Token[Context] = state.pop(_ATTACHED)
        context.detach(token)
        if span.is_recording():
            _tell(span, seen)
        span.end()

    def attach(self, engine: Engine) -> None:
        """Trace what `engine` does from now on; it must not have served a request yet."""
        engine.providers = {
            name: traced(name, provider, self._tools) for name, provider in engine.providers.items()
        }
        policies = engine.policies

        def stages_of(request: Request) -> Stages:
            stages = engine.stages if policies is None else policies(request)
            return traced_stages(stages, self._tracer)

        engine.policies = stages_of


def _tell(span: Span, seen: Observation) -> None:
    span.set_attribute("http.response.status_code", seen.status)
    if seen.failure:
        span.set_attribute("error.type", seen.failure)
    if seen.failure or seen.status >= 500:
        span.set_status(Status(StatusCode.ERROR))
    passage = seen.passage
    if passage is None:
        return
    span.set_attribute("emafusion.decision", passage.request.id)
    if passage.caller.key:
        span.set_attribute("emafusion.key", passage.caller.key)
    if passage.outcome is not None:
        span.set_attributes(_told(passage.outcome))


def _told(outcome: Outcome) -> dict[str, str | float | int]:
    told: dict[str, str | float | int] = {
        "emafusion.model": outcome.model,
        "emafusion.cost_usd": outcome.cost_usd,
        "emafusion.confidence": outcome.confidence,
        "emafusion.calls": len(outcome.steps),
    }
    if outcome.plan is not None:
        told["emafusion.arrangement"] = type(outcome.plan.arrangement).__name__.lower()
    return told


def _headers(seen: Observation) -> dict[str, str]:
    return {
        name.decode("latin-1"): value.decode("latin-1")
        for name, value in seen.scope["headers"]
        # Its companion, `tracestate`, holds whatever a caller likes, and would go to upstreams.
        if name == b"traceparent"
    }
