"""The ids of executions and approvals, and how to read them from text."""

from typing import NamedTuple, Self
from uuid import UUID

MAX_ORDINAL = 1_000_000_000


class ApprovalId(NamedTuple):
    """An approval's id: its execution and its ordinal in it, from 1.

    The id alone leads to the execution's events, without a lookup. Clients treat its text form as
    opaque.
    """

    execution_id: UUID
    ordinal: int

    def __str__(self) -> str:
        return f"{self.execution_id}.{self.ordinal}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Parse the text form. Return None if no approval can have this id."""
        head, dot, tail = text.partition(".")
        execution_id = parse_uuid(head)
        if not dot or execution_id is None or not (tail.isascii() and tail.isdecimal()):
            return None
        if tail.startswith("0") or len(tail) > len(str(MAX_ORDINAL)) or int(tail) > MAX_ORDINAL:
            return None
        return cls(execution_id, int(tail))


def parse_uuid(text: str) -> UUID | None:
    """Parse a UUID of 36 characters in either case. Return None for anything else.

    RFC 9562 asks readers to accept both cases. Other forms (braces, URN, no hyphens) are not
    accepted.
    """
    try:
        value = UUID(text)
    except ValueError:
        return None
    return value if str(value) == text.lower() else None
