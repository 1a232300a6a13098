"""Ids as clients send them. One that is none is refused in its turn: after FORBIDDEN."""

from typing import Any
from uuid import UUID

from domain.identifiers import ApprovalId, parse_uuid

NOWHERE = UUID(int=0)
"""No execution has it."""

MAX_QUOTED = 100


def execution_id_of(text: str) -> UUID:
    """Read an execution's id; what is none becomes an id that nothing has."""
    return parse_uuid(text) or NOWHERE


def approval_id_of(text: str) -> ApprovalId:
    """Read an approval's id; what is none becomes an id that nothing has."""
    return ApprovalId.parse(text) or ApprovalId(NOWHERE, 1)


def malformed(given: Any) -> str | None:
    """Say what an input gives as an id and is none; None if its id is one."""
    execution_id = getattr(given, "execution_id", None)
    if execution_id is not None and parse_uuid(execution_id) is None:
        return f"no execution {_quoted(execution_id)}: an id is a UUID in its form of 36 characters"
    approval_id = getattr(given, "approval_id", None)
    if approval_id is not None and ApprovalId.parse(approval_id) is None:
        return f"no approval {_quoted(approval_id)}: this can't be the id of one"
    return None


def _quoted(text: str) -> str:
    return repr(text if len(text) <= MAX_QUOTED else f"{text[:MAX_QUOTED]}...")
