"""
OpenTelemetry: spans of what a client does, and ``traceparent`` with each attempt. It takes the extra ``otel``.

Rule: a span holds what hooks are told, and of that no path and no query. An error is the name of its class, without
text and traceback.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import final

from cabinet_sdk import __version__
from cabinet_sdk._core.context import Attempt, CallScope
from cabinet_sdk._core.wire import origin_of

try:
    from opentelemetry.trace import Span, SpanKind, StatusCode, TracerProvider, get_tracer
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
except ModuleNotFoundError as _missing:
    raise ModuleNotFoundError(
        "tracing needs an extra: pip install 'cabinet-sdk[otel]'", name=_missing.name
    ) from _missing

__all__ = ["Tracing"]


@final
class Tracing:
    """
    Makes the spans: its methods are the hooks of any number of clients, of both modes.

    Args:
        provider: Whose tracer is used; the global one where none is given.
    """

    def __init__(self, provider: TracerProvider | None = None) -> None:
        self._tracer = get_tracer("cabinet_sdk", __version__, provider)
        # Not the global propagator: baggage is the application's own, and no business of the service.
        self._propagator = TraceContextTextMapPropagator()

    @contextmanager
    def around_call(self, scope: CallScope) -> Generator[None]:
        """Make the span of a call, named by its operation, such as ``charges.pay``."""
        with self._span(scope.operation, scope.base_url, scope.request_id) as span:
            yield
            _fail(span, scope.error)

    @contextmanager
    def around_attempt(self, attempt: Attempt) -> Generator[None]:
        """Make the span of an attempt, by the conventions for HTTP clients, and send its ``traceparent``."""
        with self._span(f"{attempt.method} {attempt.operation}", attempt.url, attempt.request_id) as span:
            span.set_attribute("http.request.method", attempt.method)
            if attempt.number > 1:
                span.set_attribute("http.request.resend_count", attempt.number - 1)
            carrier: dict[str, str] = {}
            self._propagator.inject(carrier)
            for name, value in carrier.items():
                attempt.add_header(name, value)
            yield
            if attempt.status is not None:
                span.set_attribute("http.response.status_code", attempt.status)
            _fail(span, attempt.status if (attempt.status or 0) >= 400 else attempt.error)

    @contextmanager
    def _span(self, name: str, url: str, request_id: str) -> Generator[Span]:
        _, host, port = origin_of(url)
        with self._tracer.start_as_current_span(
            name,
            kind=SpanKind.CLIENT,
            attributes={
                "server.address": host,
                "server.port": port or 0,
                "http.request.header.x-request-id": [request_id],
            },
            # The text of an exception is nobody's business here; the hooks are told of it besides.
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            yield span


def _fail(span: Span, error: BaseException | int | None) -> None:
    """End the span as failed by an error or a status of HTTP, if there is one."""
    if error is not None:
        kind = type(error)
        span.set_attribute("error.type", str(error) if isinstance(error, int) else f"{kind.__module__}.{kind.__name__}")
        span.set_status(StatusCode.ERROR)
