"""The ASGI application: GraphQL on one path, health checks and metrics, and the console."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from secrets import compare_digest
from typing import NamedTuple

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from api.graphql.caller import bearer

PATH = "/graphql"
METRICS = "/metrics"

FAR_BEHIND = 10.0
"""Seconds that a read model may lack an event before ``/readyz`` mentions it."""

Readiness = Callable[[], Awaitable[str | None]]
Lag = Callable[[float], Mapping[str, float]]


async def _nothing() -> None:
    pass


class MetricsAccess(NamedTuple):
    """Who can read the metrics: on which port (None: the server's), and with which token.

    ``refresh`` is awaited before they are read.
    """

    port: int | None = None
    token: str | None = None
    refresh: Callable[[], Awaitable[None]] = _nothing

    def served_at(self, scope: Scope) -> bool:
        """Whether a request came to the port that has the metrics."""
        return self.port is None or _port(scope) == self.port

    def apart(self, scope: Scope) -> bool:
        """Whether a request came to a port that has nothing but the metrics."""
        return self.port is not None and _port(scope) == self.port

    def allowed(self, authorization: str | None) -> bool:
        """Whether an Authorization header has the token, if one is needed."""
        if self.token is None:
            return True
        return compare_digest((bearer(authorization) or "").encode(), self.token.encode())


class Application(FastAPI):
    """FastAPI for every path but ``/graphql``.

    GraphQL requests skip its middleware and routing, which took a quarter of a mutation's time.
    """

    def __init__(self, graphql: dict[str, ASGIApp], metrics: MetricsAccess) -> None:
        super().__init__(title="Placet", openapi_url=None, docs_url=None, redoc_url=None)
        self._graphql = graphql
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request or serve a WebSocket."""
        path = scope.get("path")
        app: ASGIApp | None = None
        if self._metrics.apart(scope) and path != METRICS:
            app = PlainTextResponse(f"this port has only {METRICS}", status_code=404)
        elif path == PATH:
            app = self._graphql.get(scope["type"])
        await (app or super().__call__)(scope, receive, send)


def with_cors(app: ASGIApp, origins: Sequence[str]) -> ASGIApp:
    """Let web pages of these origins use the API. Without any, the application stays as it is."""
    if not origins:
        return app
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=["GET", "POST"],
        allow_headers=["authorization", "content-type", "traceparent"],
        expose_headers=["www-authenticate"],
    )


def build_app(
    http: ASGIApp,
    websocket: ASGIApp,
    console: ASGIApp,
    unready: Readiness,
    behind: Lag,
    metrics: MetricsAccess,
    others: Mapping[str, ASGIApp],
    mounted: Mapping[str, ASGIApp],
) -> Application:
    """Build the application. ``unready`` returns why it can't serve, None if it can.

    ``behind`` returns the read models that have been behind the log for longer than some seconds.
    ``others`` get exactly the paths by which they are named, ``mounted`` all below them, and
    ``console`` all that are no other's.
    """
    app = Application({"http": http, "websocket": websocket}, metrics)

    @app.get("/livez")
    async def livez() -> JSONResponse:
        return JSONResponse({"status": "alive"})

    @app.get("/readyz")
    async def readyz() -> JSONResponse:
        reason = await unready()
        if reason is None:
            # Commands, decisions and reads by id do not need the read models.
            late = {name: round(seconds) for name, seconds in behind(FAR_BEHIND).items()}
            return JSONResponse({"status": "ready"} | ({"secondsBehind": late} if late else {}))
        return JSONResponse({"status": "not ready", "reason": reason}, status_code=503)

    @app.get(METRICS)
    async def read_metrics(request: Request) -> Response:
        if not metrics.served_at(request.scope):
            return PlainTextResponse("the metrics are on another port", status_code=404)
        if not metrics.allowed(request.headers.get("authorization")):
            return PlainTextResponse(
                "send the token of PLACET_METRICS_TOKEN as 'Authorization: Bearer ...'",
                status_code=401,
                headers={"www-authenticate": "Bearer"},
            )
        await metrics.refresh()
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    for path, other in others.items():
        app.router.routes.append(Route(path, other))
    for path, below in mounted.items():
        app.mount(path, below)
    app.mount("/", console)
    return app


def _port(scope: Scope) -> int | None:
    server = scope.get("server")
    return None if server is None else server[1]
