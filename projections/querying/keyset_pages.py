"""Keyset pagination: a cursor has the sort key of its row, so every page costs the same."""

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
    """The base class of cursors. The fields of a subclass are the sort key of the row."""

    order: Order


C = TypeVar("C", bound=Cursor[Any])


class BadCursorError(ValueError):
    """The cursor does not come from a page in this order."""


class BadFilterError(ValueError):
    """The filter is invalid. The message says why."""


class BehindError(Exception):
    """The read model did not reach the requested position in time."""


class Page(msgspec.Struct, Generic[T], frozen=True):
    """Rows with their cursors. They reflect all events up to and including ``position``."""

    rows: list[T]
    cursors: list[str]
    has_next: bool
    has_previous: bool
    position: int


def encode_cursor(cursor: Cursor[Any]) -> str:
    """Encode a cursor as opaque text."""
    return urlsafe_b64encode(msgspec.json.encode(cursor)).decode().rstrip("=")


def decode_cursor(text: str, kind: type[C], order: object) -> C:
    """Decode a cursor. Raises BadCursorError if it is not of this kind and order."""
    msg = f"the cursor {text[:100]!r} does not come from a page in the order {order}"
    try:
        data = b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        cursor: C = msgspec.json.decode(data, type=kind)
    except (ValueError, msgspec.MsgspecError) as error:
        raise BadCursorError(msg) from error
    if cursor.order != order:
        raise BadCursorError(msg)
    return cursor


def page_of(
    rows: list[T],
    cursors: list[str],
    *,
    first: int,
    after: str | None,
    position: int,
    shortened: bool = False,
) -> Page[T]:
    """Make a page of ``first`` rows. One more row means that there is a next page.

    So does ``shortened``: then the page has fewer rows, because they are large.
    """
    return Page(
        rows=rows[:first],
        cursors=cursors[:first],
        has_next=shortened or len(rows) > first,
        has_previous=after is not None,
        position=position,
    )
