"""The ids of executions, approvals and other streams, and how to read them from text."""

from hashlib import sha256
from typing import NamedTuple, Self
from uuid import UUID, uuid5

from domain.names import normal

MAX_ORDINAL = 1_000_000_000

_RESERVED_VERSION = 8


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


def child_id(parent: UUID, key: str, round_: int) -> UUID:
    """Return the id of a child. It is the same however often the child is started.

    Anybody can compute it, so it has a version of its own, see :func:`is_reserved_id`.
    """
    return _reserved(parent.bytes + f"{round_}/{key}".encode())


def standing_grant_id(owner: str, key: str) -> UUID:
    """Return the id of the standing grant that this person creates under an idempotency key.

    It is the same however often the command is repeated. The first byte tells it from a child.
    """
    # The key may still have to be refused for half of a surrogate pair.
    name = f"standing-grant\x00{normal(owner)}\x00{key}"
    return _reserved(name.encode(errors="surrogatepass"))


def person_stream_id(person: str) -> UUID:
    """Return the id of the stream that has the events of a person."""
    return _reserved(f"person\x00{normal(person)}".encode(errors="surrogatepass"))


def api_key_stream_id(name: str) -> UUID:
    """Return the id of the stream that has the events of an API key."""
    return _reserved(f"api-key\x00{name}".encode(errors="surrogatepass"))


def calendar_stream_id(name: str) -> UUID:
    """Return the id of the stream that has the events of a calendar."""
    return _reserved(f"calendar\x00{name}".encode(errors="surrogatepass"))


def _reserved(name: bytes) -> UUID:
    number = int.from_bytes(sha256(name).digest()[:16])
    number = number & ~(0xF << 76) | _RESERVED_VERSION << 76
    return UUID(int=number & ~(0x3 << 62) | 0x2 << 62)


def is_reserved_id(id_: UUID) -> bool:
    """Whether no caller may choose the id: a UUID of version 8 (RFC 9562, section 5.8).

    Children, standing grants, people and API keys have such ids.
    """
    return id_.version == _RESERVED_VERSION


def is_id_of_child(id_: UUID, parent: UUID, key: str, round_: int) -> bool:
    """Whether the child of this key and round has this id, also in older logs, with version 5."""
    return id_ in (child_id(parent, key, round_), uuid5(parent, f"{round_}/{key}"))
