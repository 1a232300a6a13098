"""The FastAPI application: health, metrics, and GraphQL on one path."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.routing import Route, WebSocketRoute

from api.http import GraphQLOverHttp
from api.websocket import GraphQLOverWebSocket

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]
Readiness = Callable[[], Awaitable[str | None]]


def build_app(
    http: GraphQLOverHttp,
    websocket: GraphQLOverWebSocket,
    unready: Readiness,
    lifespan: Lifespan | None = None,
) -> FastAPI:
    """Put the application together. ``unready`` says why it can't serve, None if it can."""
    app = FastAPI(
        title="Placet", openapi_url=None, docs_url=None, redoc_url=None, lifespan=lifespan
    )
    # Plain ASGI below FastAPI's routing: its dependency solving would cost more than a mutation.
    app.router.routes += [
        Route("/graphql", http, methods=None),
        WebSocketRoute("/graphql", websocket),
    ]

    @app.get("/livez")
    async def livez() -> JSONResponse:
        return JSONResponse({"status": "alive"})

    @app.get("/readyz")
    async def readyz() -> JSONResponse:
        reason = await unready()
        if reason is None:
            return JSONResponse({"status": "ready"})
        return JSONResponse({"status": "not ready", "reason": reason}, status_code=503)

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return app
