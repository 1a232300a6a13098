"""Ids as clients send them.

A malformed id becomes an id that nothing has. Its command is then refused with NOT_FOUND, after the
checks of the caller's roles.
"""

from string import hexdigits
from typing import Any
from uuid import UUID

from api.errors import ApiError, bad_request, not_found
from domain.identifiers import ApprovalId, parse_uuid

NOWHERE = UUID(int=0)
"""The id that no execution has."""

MAX_QUOTED = 100
_DIGITS = 32


def execution_id_of(text: str) -> UUID:
    """Parse an execution's id. A malformed one becomes NOWHERE."""
    return parse_uuid(text) or NOWHERE


def id_range_of(text: str | None, name: str) -> tuple[UUID, UUID] | None:
    """Return the first and the last UUID that begin with a text. Raises BAD_REQUEST."""
    if text is None:
        return None
    digits = text.replace("-", "").lower()
    if not 0 < len(digits) <= _DIGITS or not set(digits) <= set(hexdigits):
        raise bad_request(f"{name} is {_quoted(text)}, it must be the beginning of a UUID")
    return UUID(digits.ljust(_DIGITS, "0")), UUID(digits.ljust(_DIGITS, "f"))


def approval_id_of(text: str) -> ApprovalId:
    """Parse an approval's id. A malformed one becomes an approval of NOWHERE."""
    return ApprovalId.parse(text) or ApprovalId(NOWHERE, 1)


def no_such_execution(text: str) -> ApiError:
    """Return the error for an execution that is not there, or that the viewer may not see."""
    return not_found(f"no execution {_quoted(text)} that this token may see")


def malformed(given: Any) -> str | None:
    """Describe the malformed id of an input; None if its id is well-formed."""
    execution_id = getattr(given, "execution_id", None)
    if execution_id is not None and parse_uuid(execution_id) is None:
        return f"no execution {_quoted(execution_id)}: its id must be a UUID of 36 characters"
    approval_id = getattr(given, "approval_id", None)
    if approval_id is not None and ApprovalId.parse(approval_id) is None:
        return f"no approval {_quoted(approval_id)}: this is not an approval's id"
    return None


def _quoted(text: str) -> str:
    return repr(text if len(text) <= MAX_QUOTED else f"{text[:MAX_QUOTED]}...")
