"""A real OTLP collector over HTTP, and what it was sent."""

from __future__ import annotations

import http.server
import threading

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class _Post(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        server = self.server
        assert isinstance(server, Collecting)
        server.bodies.append((self.path, dict(self.headers), body))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class Collecting(http.server.ThreadingHTTPServer):
    """The collector; a block in which it listens."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Post)
        self.bodies: list[tuple[str, dict[str, str], bytes]] = []
        self.url = f"http://127.0.0.1:{self.server_port}"
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,))

    def __enter__(self) -> Collecting:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def sent(self, path: str) -> list[bytes]:
        """The bodies that came to `path`."""
        return [body for where, _, body in self.bodies if where == path]


def names_of_spans(collector: Collecting) -> set[str]:
    return {
        span.name
        for body in collector.sent("/v1/traces")
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    }


def names_of_metrics(collector: Collecting) -> set[str]:
    return {
        metric.name
        for body in collector.sent("/v1/metrics")
        for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


def service_of(collector: Collecting) -> str:
    body = collector.sent("/v1/traces")[0]
    told = ExportTraceServiceRequest.FromString(body).resource_spans[0].resource.attributes
    return {each.key: str(each.value.string_value) for each in told}["service.name"]
