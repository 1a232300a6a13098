"""The terminal: what is printed there, in a width that may be small, and in any encoding."""

import csv
import io
import json
import pydoc
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec
from rich.cells import cell_len
from rich.console import Console

PIPED = 200
"""The width of a file or a pipe, which has none of its own."""

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
# What a spreadsheet would take for a formula, also in its wide forms.
_FORMULA = tuple("=+-@\t\r\uff1d\uff0b\uff0d\uff20")

errors = Console(stderr=True, soft_wrap=True, highlight=False)
out = Console(highlight=False)
if not out.is_terminal:
    out = Console(highlight=False, width=PIPED)


def prepare() -> None:
    """Let characters that the terminal's encoding does not have be replaced, not be an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def safe(text: str) -> str:
    """Escape what a terminal would obey instead of show: control characters, and those unseen."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def line(text: str = "") -> None:
    """Print one line, however long it is."""
    out.print(safe(text), markup=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """Print one line of JSON, with the contract's names."""
    out.print(msgspec.json.encode(value).decode(), markup=False, soft_wrap=True, overflow="ignore")


def print_csv(rows: Iterable[Iterable[Any]]) -> None:
    """Print rows as RFC 4180 has them, with an apostrophe before what a spreadsheet would run."""
    written = io.StringIO(newline="")
    csv.writer(written, lineterminator="\r\n").writerows(map(_cell, row) for row in rows)
    # Not with the line breaks of the platform, which would double the carriage returns.
    data = written.getvalue().encode(sys.stdout.encoding or "utf-8", "replace")
    sys.stdout.flush()
    buffer = getattr(sys.stdout, "buffer", None)
    if buffer is None:
        sys.stdout.write(written.getvalue())
    else:
        buffer.write(data)
        buffer.flush()


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case str():
            text = value
        case bool():
            text = "true" if value else "false"
        case datetime():
            text = value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case int() | float():
            return str(value)
        case _:
            text = json.dumps(value, ensure_ascii=False)
    return f"'{text}" if text.startswith(_FORMULA) else text


def show_all(lines: list[str]) -> None:
    """Print lines, in a pager if a person reads them and they do not fit on the screen."""
    if out.is_terminal and sys.stdin.isatty() and _height(lines) >= out.height:
        pydoc.pager("\n".join(map(safe, lines)) + "\n")
    else:
        for each in lines:
            line(each)


def _height(lines: list[str]) -> int:
    width = max(out.width, 1)
    return sum(max(-(-cell_len(each) // width), 1) for each in lines)


def when(instant: datetime) -> str:
    """Return a moment in the reader's time zone, to the second, with the zone's offset."""
    local = instant.astimezone()
    offset = local.strftime("%z")
    return f"{local:%Y-%m-%d %H:%M:%S} {offset[:3]}:{offset[3:5]}"


def ago(instant: datetime) -> str:
    """Return how long ago a moment was, or how far ahead it is, in its largest unit."""
    return span((datetime.now(UTC) - instant).total_seconds())


def span(seconds: float) -> str:
    """Return a time such as 3 h, in its largest unit."""
    length = abs(seconds)
    if length < _MINUTE:
        return f"{length:.0f} s"
    if length < _HOUR:
        return f"{length // _MINUTE:.0f} min"
    if length < 2 * _DAY:
        return f"{length // _HOUR:.0f} h"
    return f"{length // _DAY:.0f} d"


def who(name: str | None, id_: str) -> str:
    """Return a person's name with the id, or the id alone."""
    return id_ if not name or name == id_ else f"{name} ({id_})"
