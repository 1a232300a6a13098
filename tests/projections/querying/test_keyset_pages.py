from datetime import UTC, datetime
from uuid import UUID

import msgspec
import pytest

from projections.querying.keyset_pages import (
    BadCursorError,
    Cursor,
    Instant,
    decode_cursor,
    encode_cursor,
    page_of,
)


class ByInstant(Cursor[str], frozen=True):
    instant: Instant
    id: UUID


CURSOR = ByInstant("OLDEST", datetime(2026, 3, 2, 12, 0, 0, 123456, UTC), UUID(int=7))


def test_a_cursor_comes_back_as_it_was() -> None:
    assert decode_cursor(encode_cursor(CURSOR), ByInstant, "OLDEST") == CURSOR


def test_a_cursor_of_another_order_is_refused() -> None:
    with pytest.raises(BadCursorError, match="in the order NEWEST"):
        decode_cursor(encode_cursor(CURSOR), ByInstant, "NEWEST")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "not base64!",
        "é",
        "\x00",
        encode_cursor(CURSOR)[:-4],
        encode_cursor(msgspec.structs.replace(CURSOR, instant=datetime(2026, 3, 2))),  # noqa: DTZ001
        "A" * 100_000,
    ],
)
def test_an_invalid_cursor_is_refused(text: str) -> None:
    with pytest.raises(BadCursorError):
        decode_cursor(text, ByInstant, "OLDEST")


def test_one_row_more_than_asked_for_says_that_there_is_a_next_page() -> None:
    page = page_of([1, 2, 3], ["a", "b", "c"], first=2, after=None, position=9)
    assert (page.rows, page.cursors, page.has_next, page.has_previous) == (
        [1, 2],
        ["a", "b"],
        True,
        False,
    )
    last = page_of([3], ["c"], first=2, after="b", position=9)
    assert (last.has_next, last.has_previous) == (False, True)
