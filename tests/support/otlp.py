"""A receiver of traces: an HTTP server that takes OTLP, as a collector does."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tests.support.patience import HANGS


class ReceivedSpan(NamedTuple):
    """A span as it came. Ids are in hexadecimal; ``links`` are the ids of spans."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    links: list[str]
    attributes: dict[str, str]


class OtlpReceiver:
    """Collects the spans that are posted to ``endpoint``."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.paths: list[str] = []
        self.spans: list[ReceivedSpan] = []

    def take(self, path: str, body: bytes) -> None:
        """Take one request."""
        self.paths.append(path)
        for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            resource = {a.key: a.value.string_value for a in of_resource.resource.attributes}
            for of_scope in of_resource.scope_spans:
                self.spans += [
                    ReceivedSpan(
                        service=resource["service.name"],
                        name=span.name,
                        trace_id=span.trace_id.hex(),
                        span_id=span.span_id.hex(),
                        parent_id=span.parent_span_id.hex(),
                        links=[link.span_id.hex() for link in span.links],
                        attributes={a.key: a.value.string_value for a in span.attributes},
                    )
                    for span in of_scope.spans
                ]

    def named(self, name: str) -> list[ReceivedSpan]:
        """Return the spans with a name that have come."""
        return [span for span in self.spans if span.name == name]

    def wait(self, holds: Callable[[], bool]) -> None:
        """Wait until something is so."""
        end = time.monotonic() + HANGS
        while not holds():
            assert time.monotonic() < end, sorted({span.name for span in self.spans})
            time.sleep(0.02)


@contextmanager
def otlp_receiver() -> Iterator[OtlpReceiver]:
    """Run a receiver on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            receiver.take(self.path, self.rfile.read(int(self.headers["content-length"])))
            body = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep the output of the tests short."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver = OtlpReceiver(f"http://127.0.0.1:{server.server_address[1]}")
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()
