"""Files of comma-separated values (RFC 4180), sent page by page while they are read."""

import csv
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from starlette.responses import Response, StreamingResponse

from api.console.visit import Visit

# What a spreadsheet would take for a formula, also in its wide forms.
_FORMULA = tuple("=+-@\t\r\uff1d\uff0b\uff0d\uff20")
# Spreadsheets take a file without it for one of an old code page.
_BYTE_ORDER_MARK = "\ufeff"

Row = Sequence[Any]
Rows = Callable[[Any], Awaitable[tuple[list[Row], Any]]]
"""Returns the rows after a cursor (None: from the beginning) and the next cursor, None at the end.
"""


def download(visit: Visit, name: str, columns: Row, rows: Rows) -> Response:
    """Send all rows as a file. If the session ends meanwhile, or the reading fails, it is cut off.

    Its last line then says so, and the connection breaks without the end of the answer. A browser
    takes that for a failed download. A client of HTTP/1.0, such as a proxy, can't tell it from the
    end, so the line is all that it gets.
    """
    return StreamingResponse(
        _written(visit, columns, rows),
        media_type="text/csv; charset=utf-8; header=present",
        headers={"content-disposition": f'attachment; filename="{name}.csv"'},
    )


async def _written(visit: Visit, columns: Row, rows: Rows) -> AsyncIterator[bytes]:
    yield (_BYTE_ORDER_MARK + lines([columns])).encode()
    # A reading of its own: that of the request has ended before the file begins.
    reading = visit.site.reads.begin(visit.principal.id)
    try:
        cursor: Any = None
        while True:
            await _check_session(visit)
            some, cursor = await rows(cursor)
            yield lines(some).encode()
            reading.let_go()
            if cursor is None:
                return
    except Exception:
        why = visit.text("This file is not complete. Download it again.")
        yield lines([[why]]).encode()
        raise
    finally:
        reading.finish()


async def _check_session(visit: Visit) -> None:
    if await visit.context.recheck() is None:
        msg = "the session has ended"
        raise RuntimeError(msg)


def lines(rows: Iterable[Row]) -> str:
    """Return rows as text, with an apostrophe before what a spreadsheet would run."""
    written = io.StringIO(newline="")
    csv.writer(written, lineterminator="\r\n").writerows(map(_cell, row) for row in rows)
    return written.getvalue()


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case str():
            # Half of a surrogate pair can't be sent.
            text = value.encode("utf-8", "replace").decode()
        case bool():
            text = "true" if value else "false"
        case datetime():
            text = value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case int() | float():
            return str(value)
        case _:
            text = json.dumps(value, ensure_ascii=False)
    return f"'{text}" if text.startswith(_FORMULA) else text
