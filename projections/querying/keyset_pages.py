"""Pages by keyset: a cursor holds the sort key of its row, so a page costs the same anywhere."""

from base64 import b64decode, urlsafe_b64encode
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

import msgspec

T = TypeVar("T")
Order = TypeVar("Order")

Instant = Annotated[datetime, msgspec.Meta(tz=True)]


class Cursor(
    msgspec.Struct, Generic[Order], frozen=True, array_like=True, forbid_unknown_fields=True
):
    """Base of cursors: the order, and then the sort key of the row."""

    order: Order


C = TypeVar("C", bound=Cursor[Any])


class BadCursorError(ValueError):
    """A cursor that was not given by a page in this order."""


class BadFilterError(ValueError):
    """A filter that can't be asked; the message says why."""


class BehindError(Exception):
    """A read model that did not reach the position asked for in time."""


class Page(msgspec.Struct, Generic[T], frozen=True):
    """``rows`` in their order, each with its cursor; true of the log up to ``position``."""

    rows: list[T]
    cursors: list[str]
    has_next: bool
    has_previous: bool
    position: int


def encode_cursor(cursor: Cursor[Any]) -> str:
    """Write a cursor as opaque text."""
    return urlsafe_b64encode(msgspec.json.encode(cursor)).decode().rstrip("=")


def decode_cursor(text: str, kind: type[C], order: object) -> C:
    """Read a cursor back. Raises BadCursorError if it is not one of this kind and order."""
    msg = f"the cursor {text[:100]!r} was not given by a page in the order {order}"
    try:
        data = b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        cursor: C = msgspec.json.decode(data, type=kind)
    except (ValueError, msgspec.MsgspecError) as error:
        raise BadCursorError(msg) from error
    if cursor.order != order:
        raise BadCursorError(msg)
    return cursor


def page_of(
    rows: list[T], cursors: list[str], *, first: int, after: str | None, position: int
) -> Page[T]:
    """Make a page of ``first`` rows out of one more, which tells whether there is a next page."""
    return Page(
        rows=rows[:first],
        cursors=cursors[:first],
        has_next=len(rows) > first,
        has_previous=after is not None,
        position=position,
    )
