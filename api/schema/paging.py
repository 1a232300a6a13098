"""Pages, and cursors that are plain numbers."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec
import strawberry

from api.errors import bad_request

MAX_POSITION = 2**63 - 1
_MAX_DIGITS = len(str(MAX_POSITION))

PAGE_BYTES = 1024 * 1024
"""Bytes after which a page ends that is made of a state."""

_encode = msgspec.json.Encoder().encode

T = TypeVar("T")


@strawberry.type(
    description="The first and last cursor of a page, and whether there are pages beside it."
)
class PageInfo:
    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None

    @classmethod
    def of(cls, cursors: Sequence[str], *, has_next: bool, has_previous: bool) -> "PageInfo":
        """Make it for a page with these cursors."""
        return cls(
            has_next_page=has_next,
            has_previous_page=has_previous,
            start_cursor=cursors[0] if cursors else None,
            end_cursor=cursors[-1] if cursors else None,
        )


def number_of(text: str | None, name: str) -> int | None:
    """Parse a cursor or position that is a number. Raises BAD_REQUEST for anything else."""
    if text is None:
        return None
    if text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS:
        number = int(text)
        if number <= MAX_POSITION:
            return number
    msg = f"{name} {text[:_MAX_DIGITS]!r} is not a value that this service has returned"
    raise bad_request(msg)


def slice_after(
    items: Sequence[T], after: int, size: int, size_of: Callable[[T], int] | None = None
) -> tuple[Sequence[T], bool]:
    """Return up to ``size`` items after the first ``after``, and whether there are more.

    With ``size_of``, the bytes of an item, there are fewer if they are large: a page ends after
    PAGE_BYTES. It has one item at least.
    """
    page = items[after : after + size]
    if size_of is not None:
        left = PAGE_BYTES
        for number, item in enumerate(page):
            if left <= 0:
                page = page[:number]
                break
            left -= size_of(item)
    return page, len(items) > after + len(page)


def json_size(value: object) -> int:
    """Return how many bytes a JSON value of the log takes."""
    return 0 if value is None else len(_encode(value))
