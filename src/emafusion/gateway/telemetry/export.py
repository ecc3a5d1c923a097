"""Where OpenTelemetry's spans and metrics go: an OTLP collector, over HTTP.

Knows the SDK; imported only where telemetry is on.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING

from emafusion.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import MetricExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

CLOSING_S = 5.0
"""How long the last spans may take to be delivered."""


class Export:
    """Sends spans and metrics to a collector, in threads of its own, many at a time.

    A collector that is slow or gone costs requests nothing: what does not fit the queue is dropped.

    Parameters
    ----------
    endpoint : str
        The collector's address, such as ``http://localhost:4318``.
    headers : mapping of str to str, optional
        What it wants to be sent, such as a key.
    service : str
        Our name there.
    share : float
        The share of traces that are kept, from 0 to 1; a caller that traces is followed.
    every_s : float
        How often metrics are sent, seconds.

    Raises
    ------
    MissingExtraError
        The extra ``telemetry`` is not installed.
    ConfigError
        The endpoint is no HTTP address, or the share none.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        headers: Mapping[str, str] | None = None,
        service: str = "emafusion",
        share: float = 1.0,
        every_s: float = 60.0,
    ) -> None:
        if not endpoint.startswith(("http://", "https://")):
            raise ConfigError(f"telemetry goes to an HTTP address, not to {endpoint!r}")
        if not 0.0 <= share <= 1.0:
            raise ConfigError(f"the share of traces goes from 0 to 1, not to {share!r}")
        try:
            from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
        except ImportError as missing:
            raise MissingExtraError("opentelemetry", "telemetry") from missing
        base = endpoint.rstrip("/")
        sent = dict(headers or {})
        told = Resource.create({"service.name": service, "service.version": version("emafusion")})
        self.spans = _spans(OTLPSpanExporter(f"{base}/v1/traces", headers=sent), told, share)
        exporter = OTLPMetricExporter(f"{base}/v1/metrics", headers=sent)
        self.measures = _measures(exporter, told, every_s)

    def close(self) -> None:
        """Deliver what waits, for as long as :data:`CLOSING_S`, and end the threads."""
        self.spans.force_flush(round(1000 * CLOSING_S))
        self.spans.shutdown()
        self.measures.shutdown(timeout_millis=1000 * CLOSING_S)


def _spans(exporter: SpanExporter, told: Resource, share: float) -> TracerProvider:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

    spans = TracerProvider(
        resource=told, sampler=ParentBased(TraceIdRatioBased(share)), shutdown_on_exit=False
    )
    spans.add_span_processor(BatchSpanProcessor(exporter))
    return spans


def _measures(exporter: MetricExporter, told: Resource, every_s: float) -> MeterProvider:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=1000.0 * every_s)
    return MeterProvider([reader], resource=told, shutdown_on_exit=False)
