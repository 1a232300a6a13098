"""GraphQL errors: for what never reached the domain. One stable code each, in ``extensions``."""

from enum import StrEnum

import psycopg
from eventsourcing.persistence import PersistenceError
from graphql import GraphQLError
from psycopg_pool import PoolTimeout

from application.command_handling.outcomes import UnavailableError
from application.workers.leases import OverloadedError
from projections.querying.keyset_pages import BadCursorError, BadFilterError, BehindError


class ErrorCode(StrEnum):
    """Codes of GraphQL errors, in ``extensions.code``. Clients branch on them."""

    UNAUTHENTICATED = "UNAUTHENTICATED"
    FORBIDDEN = "FORBIDDEN"
    BAD_REQUEST = "BAD_REQUEST"
    LIMIT_EXCEEDED = "LIMIT_EXCEEDED"
    READ_MODEL_BEHIND = "READ_MODEL_BEHIND"
    OVERLOADED = "OVERLOADED"
    UNAVAILABLE = "UNAVAILABLE"
    INTERNAL = "INTERNAL"


class ApiError(GraphQLError):
    """A refusal of the API itself. The message is for the person who reads it."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message, extensions={"code": code.value})
        self.code = code


def unauthenticated(
    message: str = "a valid token is needed: this one is missing, unknown, revoked or has expired"
    " (Authorization: Bearer ...)",
) -> ApiError:
    """No token, or one that is unknown, expired or revoked."""
    return ApiError(ErrorCode.UNAUTHENTICATED, message)


def forbidden(message: str) -> ApiError:
    """The principal's roles do not allow it."""
    return ApiError(ErrorCode.FORBIDDEN, message)


def bad_request(message: str) -> ApiError:
    """Malformed, or not valid against the schema."""
    return ApiError(ErrorCode.BAD_REQUEST, message)


def limit_exceeded(message: str) -> ApiError:
    """Beyond a stated limit."""
    return ApiError(ErrorCode.LIMIT_EXCEEDED, message)


def unavailable(message: str) -> ApiError:
    """Not at this moment; a repeat may do."""
    return ApiError(ErrorCode.UNAVAILABLE, message)


def internal(reference: str) -> ApiError:
    """A fault of ours. The reference is in the log beside what happened."""
    return ApiError(ErrorCode.INTERNAL, f"an unforeseen fault; its reference is {reference}")


def known(error: BaseException | None) -> ApiError | None:
    """Give the GraphQL error for an exception that is foreseen, None for any other."""
    match error:
        case ApiError():
            return error
        case BadCursorError() | BadFilterError():
            return bad_request(str(error))
        case BehindError():
            return ApiError(ErrorCode.READ_MODEL_BEHIND, str(error))
        case OverloadedError():
            return ApiError(ErrorCode.OVERLOADED, str(error))
        case UnavailableError():
            return ApiError(ErrorCode.UNAVAILABLE, str(error))
        case psycopg.errors.QueryCanceled():
            return limit_exceeded("the question takes too long to answer; ask for less at once")
        case PoolTimeout():
            return ApiError(
                ErrorCode.UNAVAILABLE,
                "no connection to the database became free: it is away, or has too much to do; "
                "try again later",
            )
        case psycopg.OperationalError() | psycopg.InterfaceError() | PersistenceError():
            return ApiError(ErrorCode.UNAVAILABLE, "the database can't be reached; try again later")
        case _:
            return None
