"""The ASGI application of SCIM: who may use it, and how requests and errors look.

An identity provider sends the bearer token of ``PLACET_SCIM_TOKEN``. API keys and other tokens are
not taken here, and this token is taken nowhere else.
"""

from collections.abc import Awaitable, Callable
from secrets import compare_digest
from typing import Any

import msgspec
import psycopg
import structlog
from psycopg_pool import AsyncConnectionPool, PoolTimeout
from pydantic import ValidationError
from scim2_models import (
    AuthenticationScheme,
    Bulk,
    ChangePassword,
    Context,
    Error,
    ETag,
    Filter,
    Group,
    InvalidSyntaxException,
    ListResponse,
    NotFoundException,
    Patch,
    PayloadTooLargeException,
    ResourceType,
    Schema,
    SCIMException,
    SearchRequest,
    ServiceProviderConfig,
    Sort,
    UnauthorizedException,
)
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from api.graphql.caller import bearer
from api.scim.groups import Groups
from api.scim.resources import BASE, POLICY, PROVIDER, ScimUser
from api.scim.tables import ScimTables
from api.scim.users import PersonId, Users
from application.command_handling.outcomes import UnavailableError
from application.directory import Directory

_log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/scim+json"
PAGE = 100
MAX_PAGE = 200

_UNAVAILABLE = (psycopg.Error, PoolTimeout, UnavailableError)

CONFIG = ServiceProviderConfig(
    patch=Patch(supported=True),
    bulk=Bulk(supported=False, max_operations=0, max_payload_size=0),
    filter=Filter(supported=True, max_results=MAX_PAGE),
    change_password=ChangePassword(supported=False),
    sort=Sort(supported=False),
    etag=ETag(supported=False),
    authentication_schemes=[
        AuthenticationScheme(
            type="oauthbearertoken",
            name="Bearer token",
            description="The token of PLACET_SCIM_TOKEN",
            primary=True,
        )
    ],
)

Endpoint = Callable[[Request], Awaitable[Response]]


def scim_app(
    pool: AsyncConnectionPool,
    directory: Directory,
    *,
    token: str,
    person_id: PersonId,
    public_url: str | None,
    max_body_bytes: int,
) -> Starlette:
    """Return the application, to be mounted at BASE."""
    tables = ScimTables(pool)
    users = Users(tables, directory, person_id)
    endpoints = _Endpoints(token, public_url, max_body_bytes)
    groups = Groups(tables, users)
    routes = [
        *_routes(endpoints, "/Users", users, ScimUser),
        *_routes(endpoints, "/Groups", groups, Group),
        _search_of_all(endpoints, users, groups),
        *_descriptions(endpoints),
    ]
    return Starlette(routes=routes, exception_handlers={HTTPException: _not_found})


class _Endpoints:
    """Checks who asks, reads bodies, and turns errors into what SCIM expects."""

    def __init__(self, token: str, public_url: str | None, max_body_bytes: int) -> None:
        self._token = token.encode()
        self._public_url = public_url
        self._max_body_bytes = max_body_bytes

    def guarded(self, endpoint: Endpoint) -> Endpoint:
        """Return the endpoint for those who have the token."""

        async def answer(request: Request) -> Response:
            try:
                self._check(request)
                return await endpoint(request)
            except ValidationError as error:
                return _error(Error.from_validation_errors(error)[0])
            except SCIMException as error:
                return _error(error.to_error())
            except ClientDisconnect:
                return Response(status_code=400)
            except _UNAVAILABLE as error:
                _log.warning("scim_unavailable", error=str(error))
                said = "the database can't be reached; try again later"
                return _error(Error(status=503, detail=said))
            except Exception:  # noqa: BLE001 - logged, and answered
                _log.exception("scim_failed", path=request.url.path)
                return _error(Error(status=500, detail="an error; the server's log says more"))

        return answer

    def base(self, request: Request) -> str:
        """Return the address of SCIM, as the caller knows it."""
        url = request.url
        return f"{(self._public_url or f'{url.scheme}://{url.netloc}').rstrip('/')}{BASE}"

    async def body(self, request: Request) -> Any:
        """Return the JSON of a body."""
        whole = bytearray()
        async for part in request.stream():
            whole += part
            if len(whole) > self._max_body_bytes:
                said = f"the body has more than {self._max_body_bytes} bytes"
                raise PayloadTooLargeException(detail=said)
        try:
            return msgspec.json.decode(bytes(whole))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InvalidSyntaxException(detail=f"the body is not JSON: {error}") from None

    def _check(self, request: Request) -> None:
        given = bearer(request.headers.get("authorization")) or ""
        if not compare_digest(given.encode("utf-8", "surrogateescape"), self._token):
            said = "send the token of PLACET_SCIM_TOKEN as 'Authorization: Bearer ...'"
            raise UnauthorizedException(detail=said)


def _routes(endpoints: _Endpoints, path: str, resources: Users | Groups, model: Any) -> list[Route]:
    async def listed(request: Request) -> Response:
        return await found_by(request, _query(request))

    async def search(request: Request) -> Response:
        return await found_by(request, await endpoints.body(request))

    async def found_by(request: Request, given: Any) -> Response:
        asked = SearchRequest[model].model_validate(
            given, scim_ctx=Context.SEARCH_REQUEST, scim_policy=POLICY
        )
        asked.count = PAGE if asked.count is None else min(max(asked.count, 0), MAX_PAGE)
        found = await resources.search(asked, endpoints.base(request))
        dumped = found.model_dump(
            scim_ctx=Context.RESOURCE_QUERY_RESPONSE,
            response_parameters=asked,
        )
        return _json(dumped)

    async def create(request: Request) -> Response:
        created = await resources.create(await endpoints.body(request), endpoints.base(request))
        assert created.meta is not None
        dumped = created.model_dump(scim_ctx=Context.RESOURCE_CREATION_RESPONSE)
        return _json(dumped, status=201, headers={"location": str(created.meta.location)})

    async def get(request: Request) -> Response:
        asked = SearchRequest[model].model_validate(
            _query(request), scim_ctx=Context.SEARCH_REQUEST
        )
        found = await resources.get(request.path_params["id"], endpoints.base(request))
        dumped = found.model_dump(
            scim_ctx=Context.RESOURCE_QUERY_RESPONSE,
            response_parameters=asked,
        )
        return _json(dumped)

    async def replace(request: Request) -> Response:
        body, base = await endpoints.body(request), endpoints.base(request)
        replaced = await resources.replace(request.path_params["id"], body, base)
        return _json(replaced.model_dump(scim_ctx=Context.RESOURCE_REPLACEMENT_RESPONSE))

    async def patch(request: Request) -> Response:
        body, base = await endpoints.body(request), endpoints.base(request)
        patched = await resources.patch(request.path_params["id"], body, base)
        return _json(patched.model_dump(scim_ctx=Context.RESOURCE_PATCH_RESPONSE))

    async def delete(request: Request) -> Response:
        await resources.delete(request.path_params["id"])
        return Response(status_code=204)

    one = f"{path}/{{id}}"
    return [
        Route(path, endpoints.guarded(listed), methods=["GET"]),
        Route(f"{path}/.search", endpoints.guarded(search), methods=["POST"]),
        Route(path, endpoints.guarded(create), methods=["POST"]),
        Route(one, endpoints.guarded(get), methods=["GET"]),
        Route(one, endpoints.guarded(replace), methods=["PUT"]),
        Route(one, endpoints.guarded(patch), methods=["PATCH"]),
        Route(one, endpoints.guarded(delete), methods=["DELETE"]),
    ]


def _search_of_all(endpoints: _Endpoints, users: Users, groups: Groups) -> Route:
    """Return the search among users and groups: RFC 7644, section 3.4.3."""

    async def search(request: Request) -> Response:
        asked = SearchRequest[ScimUser | Group].model_validate(
            await endpoints.body(request), scim_ctx=Context.SEARCH_REQUEST, scim_policy=POLICY
        )
        base = endpoints.base(request)
        every = [*await users.every(base), *await groups.every(base)]
        found = [one for one in every if asked.filter is None or asked.filter.match(one)]
        start = max(asked.start_index or 1, 1)
        count = PAGE if asked.count is None else min(max(asked.count, 0), MAX_PAGE)
        page = found[start - 1 : start - 1 + count]
        answer = ListResponse[ScimUser | Group](
            total_results=len(found), start_index=start, items_per_page=len(page), resources=page
        )
        dumped = answer.model_dump(scim_ctx=Context.SEARCH_RESPONSE, response_parameters=asked)
        return _json(dumped)

    return Route("/.search", endpoints.guarded(search), methods=["POST"])


def _descriptions(endpoints: _Endpoints) -> list[Route]:
    """Return what describes the service: RFC 7644, section 4."""

    async def config(_request: Request) -> Response:
        return _json(CONFIG.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE))

    def listed(path: str, model: Any, resources: dict[str, Any]) -> list[Route]:
        async def every(_request: Request) -> Response:
            found = ListResponse[model](
                total_results=len(resources),
                start_index=1,
                items_per_page=len(resources),
                resources=list(resources.values()),
            )
            return _json(found.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE))

        async def one(request: Request) -> Response:
            found = resources.get(request.path_params["id"])
            if found is None:
                said = f"there is no {request.path_params['id']!r}"
                raise NotFoundException(detail=said)
            return _json(found.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE))

        return [
            Route(path, endpoints.guarded(every), methods=["GET"]),
            Route(f"{path}/{{id}}", endpoints.guarded(one), methods=["GET"]),
        ]

    types = {str(each.id or each.name): each for each in PROVIDER.resource_types}
    schemas = {str(each.id): each for each in PROVIDER.schemas}
    return [
        Route("/ServiceProviderConfig", endpoints.guarded(config), methods=["GET"]),
        *listed("/ResourceTypes", ResourceType, types),
        *listed("/Schemas", Schema, schemas),
    ]


def _query(request: Request) -> dict[str, Any]:
    """Return the parameters of a query as the members of a search request."""
    given: dict[str, Any] = dict(request.query_params)
    known = {"attributes", "excludedAttributes", "filter", "startIndex", "count"}
    return {name: value for name, value in given.items() if name in known}


async def _not_found(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _error(Error(status=error.status_code, detail=error.detail))


def _error(error: Error) -> Response:
    headers = {"www-authenticate": "Bearer"} if error.status == 401 else None  # noqa: PLR2004
    return _json(error.model_dump(), status=error.status or 500, headers=headers)


def _json(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse(content, status_code=status, headers=headers, media_type=MEDIA_TYPE)
