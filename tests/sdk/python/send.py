"""Sends a few traces with the OpenTelemetry SDK for Python, as an application would, and says what became of them.

    python send.py grpc|http|json ENDPOINT none|gzip|deflate VERSION TRACES

Prints one line of JSON: {"traces": …, "spans": …, "results": ["SUCCESS", …]}. The application is a shop: a request, its
cache, and its database; version 2 has a slow statement more.
"""

import json
import logging
import sys
import time

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Link, SpanKind, Status, StatusCode


class Watched(SpanExporter):
    """An exporter that remembers how each export ended."""

    def __init__(self, exporter):
        self.exporter = exporter
        self.results = []

    def export(self, spans):
        result = self.exporter.export(spans)
        self.results.append(result.name)
        return result

    def shutdown(self):
        self.exporter.shutdown()

    def force_flush(self, timeout_millis=30000):
        return self.exporter.force_flush(timeout_millis)


def exporter(protocol, endpoint, compression):
    if protocol == "grpc":
        import grpc
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        kinds = {"none": grpc.Compression.NoCompression, "gzip": grpc.Compression.Gzip}
        return OTLPSpanExporter(endpoint=endpoint, insecure=True, compression=kinds[compression])
    if protocol == "http":
        from opentelemetry.exporter.otlp.proto.http import Compression
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        return OTLPSpanExporter(endpoint=endpoint + "/v1/traces", compression=Compression(compression))
    from opentelemetry.exporter.otlp.common.http import Compression
    from opentelemetry.exporter.otlp.json.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter(endpoint=endpoint + "/v1/traces", compression=Compression(compression))


def one_request(tracer, number, version):
    with tracer.start_as_current_span("GET /cart", kind=SpanKind.SERVER) as request:
        request.set_attribute("http.request.method", "GET")
        request.set_attribute("http.route", "/cart")
        request.set_attribute("number", number)
        request.set_attribute("ratio", 0.5 if number else float("nan"))
        request.set_attribute("tags", ["a", "ü", "\x1b[2J"])
        with tracer.start_as_current_span("GET", kind=SpanKind.CLIENT) as cache:
            cache.set_attribute("db.system.name", "redis")
            cache.add_event("miss", {"key": "cart"})
        links = [Link(request.get_span_context(), {"why": "follows"})]
        with tracer.start_as_current_span("SELECT items", kind=SpanKind.CLIENT, links=links) as statement:
            statement.set_attribute("db.system.name", "mysql")
            time.sleep(0.001)
            if number == 1:
                statement.set_status(Status(StatusCode.ERROR, "deadlock"))
        if version == "2":
            with tracer.start_as_current_span("SELECT vouchers", kind=SpanKind.CLIENT) as statement:
                statement.set_attribute("db.system.name", "mysql")
                time.sleep(0.005)
            return 4
    return 3


def main():
    protocol, endpoint, compression, version, traces = sys.argv[1:6]
    logging.basicConfig(level=logging.WARNING)
    watched = Watched(exporter(protocol, endpoint, compression))
    resource = Resource.create({"service.name": "shop", "service.version": version, "sender": f"python {protocol}"})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(watched))
    tracer = provider.get_tracer("send.py", "1")
    spans = sum(one_request(tracer, number, version) for number in range(int(traces)))
    provider.shutdown()
    print(json.dumps({"traces": int(traces), "spans": spans, "results": watched.results}))


main()
