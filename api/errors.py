"""GraphQL errors: for requests that did not reach the domain. Each has a stable code."""

from enum import StrEnum

import psycopg
from eventsourcing.persistence import PersistenceError
from graphql import GraphQLError
from psycopg_pool import PoolTimeout

from application.command_handling.outcomes import UnavailableError
from application.command_handling.write_refusals import refused_write
from application.event_store.positions import PositionUnknownError
from application.event_store.reading import ReadLimitError, ReadShareError
from application.workers.leases import OverloadedError
from projections.querying.keyset_pages import BadCursorError, BadFilterError, BehindError


class ErrorCode(StrEnum):
    """Codes of GraphQL errors, in ``extensions.code``. Clients branch on them."""

    UNAUTHENTICATED = "UNAUTHENTICATED"
    FORBIDDEN = "FORBIDDEN"
    NOT_FOUND = "NOT_FOUND"
    BAD_REQUEST = "BAD_REQUEST"
    LIMIT_EXCEEDED = "LIMIT_EXCEEDED"
    POSITION_UNKNOWN = "POSITION_UNKNOWN"
    READ_MODEL_BEHIND = "READ_MODEL_BEHIND"
    OVERLOADED = "OVERLOADED"
    UNAVAILABLE = "UNAVAILABLE"
    INTERNAL = "INTERNAL"


class ApiError(GraphQLError):
    """A request that the API refuses. The message is for people, the code for programs."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message, extensions={"code": code.value})
        self.code = code


def unauthenticated(
    message: str = "the token is missing, unknown, revoked or has expired; send a valid one as"
    " 'Authorization: Bearer ...'",
) -> ApiError:
    """The token is missing, unknown, expired or revoked."""
    return ApiError(ErrorCode.UNAUTHENTICATED, message)


def forbidden(message: str) -> ApiError:
    """The roles or queues of the principal do not allow the request."""
    return ApiError(ErrorCode.FORBIDDEN, message)


def not_found(message: str) -> ApiError:
    """There is nothing with this id, or the principal may not see it."""
    return ApiError(ErrorCode.NOT_FOUND, message)


def bad_request(message: str) -> ApiError:
    """The request is malformed, or not valid against the schema."""
    return ApiError(ErrorCode.BAD_REQUEST, message)


def limit_exceeded(message: str) -> ApiError:
    """The request exceeds a documented limit."""
    return ApiError(ErrorCode.LIMIT_EXCEEDED, message)


def unavailable(message: str) -> ApiError:
    """The request can't be answered at the moment; a repeat may succeed."""
    return ApiError(ErrorCode.UNAVAILABLE, message)


def internal(reference: str) -> ApiError:
    """The server has a bug. Its log has the exception, with the same reference."""
    return ApiError(
        ErrorCode.INTERNAL,
        f"internal error; the log of the server has it with the reference {reference}",
    )


# Exceptions whose message is meant for clients.
_CODES: dict[type[BaseException], ErrorCode] = {
    PositionUnknownError: ErrorCode.POSITION_UNKNOWN,
    ReadLimitError: ErrorCode.LIMIT_EXCEEDED,
    ReadShareError: ErrorCode.OVERLOADED,
    BehindError: ErrorCode.READ_MODEL_BEHIND,
    OverloadedError: ErrorCode.OVERLOADED,
    UnavailableError: ErrorCode.UNAVAILABLE,
}


def known(error: BaseException | None) -> ApiError | None:
    """Return the GraphQL error for an expected exception, None for an unexpected one."""
    match error:
        case ApiError():
            return error
        case BadCursorError() | BadFilterError():
            return bad_request(str(error))
        case (
            PositionUnknownError()
            | BehindError()
            | OverloadedError()
            | UnavailableError()
            | ReadLimitError()
            | ReadShareError()
        ):
            return ApiError(_CODES[type(error)], str(error))
        case psycopg.errors.QueryCanceled():
            return limit_exceeded("the query takes too long; ask for less at once")
        case PoolTimeout():
            return ApiError(
                ErrorCode.UNAVAILABLE,
                "no connection to the database became free: it can't be reached or is too busy; "
                "try again later",
            )
        case psycopg.errors.ReadOnlySqlTransaction() | psycopg.errors.DiskFull():
            return unavailable(f"{refused_write(error)}; nothing was recorded, try again later")
        case psycopg.OperationalError() | psycopg.InterfaceError() | PersistenceError():
            return ApiError(ErrorCode.UNAVAILABLE, "the database can't be reached; try again later")
        case _:
            return None
