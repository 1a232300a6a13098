"""Ids as clients send them. One that is none is refused in its turn: after FORBIDDEN."""

from uuid import UUID

from domain.identifiers import ApprovalId, parse_uuid

NOWHERE = UUID(int=0)
"""No execution has it."""


def execution_id_of(text: str) -> UUID:
    """Read an execution's id; what is none becomes an id that nothing has."""
    return parse_uuid(text) or NOWHERE


def approval_id_of(text: str) -> ApprovalId:
    """Read an approval's id; what is none becomes an id that nothing has."""
    return ApprovalId.parse(text) or ApprovalId(NOWHERE, 1)
