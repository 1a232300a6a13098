"""The console as an ASGI application: its addresses, and what is the same for each of them."""

from collections.abc import Awaitable, Callable, Sequence
from uuid import uuid4

import structlog
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from api.console import csrf, forms
from api.console.assets import Asset
from api.console.forms import FormError
from api.console.pages import sign_in
from api.console.pages.routes import PAGES, Page
from api.console.responses import PageError, with_headers
from api.console.visit import Site, Visit, not_found
from api.errors import ErrorCode, known

_log = structlog.get_logger(__name__)

A_YEAR = "public, max-age=31536000, immutable"
_STATUS = {
    ErrorCode.BAD_REQUEST: 400,
    ErrorCode.LIMIT_EXCEEDED: 400,
    ErrorCode.POSITION_UNKNOWN: 400,
    ErrorCode.UNAUTHENTICATED: 401,
    ErrorCode.FORBIDDEN: 403,
    ErrorCode.NOT_FOUND: 404,
}
Handler = Callable[[Visit], Awaitable[Response]]


class Console:
    """An ASGI application for every path that nothing else serves."""

    def __init__(self, site: Site, assets: dict[str, Asset]) -> None:
        self._site = site
        self._assets = assets
        self._router = Router(routes=[self._static(), *self._pages(PAGES), *self._rest()])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request. There are no WebSockets here."""
        app: ASGIApp = self._router if scope["type"] == "http" else _refuse
        await app(scope, receive, send)

    async def start(self) -> None:
        """Start what wakes live pages, and what ends the streams of sessions that are over."""
        await self._site.fanout.start()
        await self._site.sessions.start()

    async def close(self) -> None:
        """End all streams and stop."""
        await self._site.sessions.close()
        await self._site.fanout.close()

    def drain(self) -> None:
        """End all streams, because the server ends."""
        self._site.sessions.end_streams()

    def _static(self) -> Route:
        async def asset(request: Request) -> Response:
            found = self._assets.get(request.path_params["name"])
            if found is None or request.path_params["version"] != found.version:
                return await self._answer(request, _nothing, public=True)
            headers = {
                "cache-control": A_YEAR,
                "x-content-type-options": "nosniff",
                "vary": "accept-encoding",
            }
            content = found.content
            if "gzip" in request.headers.get("accept-encoding", ""):
                content, headers["content-encoding"] = found.compressed, "gzip"
            return Response(content, media_type=found.media_type, headers=headers)

        return Route("/static/{version}/{name:path}", asset, methods=["GET"])

    def _pages(self, pages: Sequence[Page]) -> list[BaseRoute]:
        return [
            Route(
                page.path, self._endpoint(page.handler, public=page.public), methods=[page.method]
            )
            for page in pages
        ]

    def _rest(self) -> list[BaseRoute]:
        return [
            Route("/{path:path}", self._endpoint(_nothing, public=True)),
            # Programs that send to a wrong address of the API are told so, without a page.
            Route("/{path:path}", _absent, methods=["POST", "PUT", "PATCH", "DELETE", "OPTIONS"]),
        ]

    def _endpoint(
        self, handler: Handler, *, public: bool
    ) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            return await self._answer(request, handler, public=public)

        return endpoint

    async def _answer(self, request: Request, handler: Handler, *, public: bool) -> Response:
        try:
            visit = await Visit.of(self._site, request)
        except Exception as error:  # noqa: BLE001 - the reader gets a page that says so
            # Without the database nobody is known to be signed in.
            visit = Visit.of_nobody(self._site, request)
            return with_headers(_error_page(visit, _explained(visit, error)))
        session = visit.session
        reading = None if session is None else self._site.reads.begin(session.principal.id)
        try:
            if request.method == "POST":
                visit.form = await forms.read(request, self._site.max_form_bytes)
                _check_sender(visit)
            if visit.session is None and not public:
                return with_headers(sign_in.ask(visit))
            return with_headers(await handler(visit))
        except Exception as error:  # noqa: BLE001 - the reader gets a page that says so
            return with_headers(_error_page(visit, _explained(visit, error)))
        finally:
            if reading is not None:
                reading.finish()


def _check_sender(visit: Visit) -> None:
    """Raise PageError for a form that this console has not made for this session."""
    other_site = csrf.from_another_site(Headers(scope=visit.request.scope))
    forged = visit.session is not None and not csrf.is_token_of(
        visit.session_token or "", visit.form.value(csrf.FIELD)
    )
    if other_site or forged:
        raise PageError(
            403,
            visit.text("This form was not taken"),
            visit.text(
                "It came from another site, or from a page of a session that is over. Nothing was"
                " changed. Open the page again and repeat what you did."
            ),
        )


def _explained(visit: Visit, error: Exception) -> PageError:
    """Return the page for an exception. One that nobody foresaw is logged."""
    if isinstance(error, PageError):
        return error
    if isinstance(error, FormError):
        return PageError(error.status, visit.text("This form can't be read"), str(error))
    foreseen = known(error)
    if foreseen is not None:
        status = _STATUS.get(foreseen.code, 503)
        title = (
            visit.text("This address can't be read")
            if status < 500  # noqa: PLR2004
            else visit.text("Not possible at the moment")
        )
        return PageError(status, title, foreseen.message)
    reference = uuid4().hex
    _log.error("unexpected_error", reference=reference, exc_info=error)
    return PageError(
        500,
        visit.text("Something went wrong here"),
        visit.text(
            "The log of the server has it with the reference %(reference)s.", reference=reference
        ),
    )


def _error_page(visit: Visit, error: PageError) -> Response:
    return visit.page("error.html", status=error.status, title=error.title, advice=error.advice)


async def _absent(request: Request) -> Response:
    return PlainTextResponse(f"there is nothing at {request.url.path}", status_code=404)


async def _nothing(visit: Visit) -> Response:
    raise not_found(visit)


async def _refuse(_scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.close", "code": 1000, "reason": "no WebSocket is here"})
