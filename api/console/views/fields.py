"""JSON as readable fields: a flat list of lines, each with its depth.

Nothing is left out and nothing is changed: keys and values are shown as they are, texts that look
like other values are quoted, and long texts are folded. The list is flat, so a value of any depth
can be shown.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import msgspec

from api.console.plain_text import visible

Kind = Literal["value", "list", "group", "table"]

MAX_COLUMNS = 8
MAX_ITEMS = 12
MIN_ROWS = 2
LONG_TEXT = 400
LONG_LINES = 10
LONG_TABLE = 25
BEGINNING = 160

_NONE: Any = object()


class Cell(msgspec.Struct, frozen=True):
    """A value without parts. ``kind``: text, number, word (true, false, null) or empty.

    ``text`` is folded behind its ``beginning`` if that is not None.
    """

    text: str
    kind: str
    beginning: str | None = None


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One field. ``size`` counts the parts of a list, a group or a table."""

    depth: int
    label: str
    kind: Kind
    cells: tuple[Cell, ...] = ()
    size: int = 0
    of_list: bool = False
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Cell | None, ...], ...] = ()

    @property
    def long(self) -> bool:
        """Whether a table is folded."""
        return self.size > LONG_TABLE


def fields(value: Any, label: str = "") -> list[Line]:
    """Return the lines of a JSON value, in its order.

    The members of an object have their keys as labels, those of a list their numbers from 1.
    A value that is neither is one line with ``label``.
    """
    lines: list[Line] = []
    # A stack instead of recursion: a payload may be nested deeper than Python can call.
    left: list[Iterator[tuple[int, str, Any]]] = []
    if isinstance(value, dict) and value:
        left.append(_members(value, 0))
    elif isinstance(value, list) and value and not _table(value):
        left.append(_items(value, 0))
    else:
        left.append(iter([(0, label, value)]))
    while left:
        following = next(left[-1], None)
        if following is None:
            left.pop()
            continue
        depth, name, member = following
        line = _line(depth, name, member)
        lines.append(line)
        if line.kind == "group":
            parts = _members if isinstance(member, dict) else _items
            left.append(parts(member, depth + 1))
    return lines


def facts(value: Any, most: int = 4) -> list[tuple[str, Cell]]:
    """Return the first short values of an object, for one line of a list."""
    if not isinstance(value, dict):
        return [("", cell(value))] if not isinstance(value, list) else []
    short = (
        (key, cell(member))
        for key, member in value.items()
        if not isinstance(member, dict | list) and len(str(member)) <= 60  # noqa: PLR2004
    )
    return [fact for fact, _ in zip(short, range(most), strict=False)]


def cell(value: Any) -> Cell:
    """Return a value without parts as it is shown. An empty list or object is one too."""
    match value:
        case None:
            return Cell("null", "word")
        case bool():
            return Cell("true" if value else "false", "word")
        case int() | float():
            return Cell(msgspec.json.encode(value).decode(), "number")
        case str():
            return _text(value)
        case _:
            return Cell("{}" if isinstance(value, dict) else "[]", "word")


def _text(text: str) -> Cell:
    if _needs_quotes(text):
        return Cell(f'"{text}"', "text")
    if len(text) > LONG_TEXT or text.count("\n") >= LONG_LINES:
        beginning = visible(" ".join(text[: BEGINNING * 2].split()))[:BEGINNING]
        return Cell(text, "text", beginning)
    return Cell(text, "text")


def _needs_quotes(given: str) -> bool:
    """Whether a text could be taken for another value, or its ends could be overlooked."""
    if given != given.strip() or given in {"", "null", "true", "false", "{}", "[]"}:
        return True
    if given[0] == "-" or given[0].isdecimal():
        try:
            msgspec.json.decode(given.encode("utf-8", "replace"), type=float)
        except msgspec.MsgspecError:
            return False
        return True
    return given[0] == given[-1] == '"'


def _line(depth: int, label: str, value: Any) -> Line:
    if isinstance(value, dict) and value:
        return Line(depth=depth, label=label, kind="group", size=len(value))
    if isinstance(value, list) and value:
        columns = _table(value)
        if columns:
            rows = tuple(
                tuple(None if (v := row.get(c, _NONE)) is _NONE else cell(v) for c in columns)
                for row in value
            )
            return Line(
                depth=depth, label=label, kind="table", size=len(value), columns=columns, rows=rows
            )
        if len(value) <= MAX_ITEMS and not any(_nested(item) for item in value):
            cells = tuple(map(cell, value))
            return Line(depth=depth, label=label, kind="list", size=len(value), cells=cells)
        return Line(depth=depth, label=label, kind="group", size=len(value), of_list=True)
    return Line(depth=depth, label=label, kind="value", cells=(cell(value),))


def _members(value: dict[str, Any], depth: int) -> Iterator[tuple[int, str, Any]]:
    return ((depth, key, member) for key, member in value.items())


def _items(value: Sequence[Any], depth: int) -> Iterator[tuple[int, str, Any]]:
    return ((depth, str(number), item) for number, item in enumerate(value, 1))


def _table(value: Sequence[Any]) -> tuple[str, ...]:
    """Return the columns of a list of alike, flat objects, () if it is none."""
    if len(value) < MIN_ROWS or not all(isinstance(row, dict) and row for row in value):
        return ()
    columns: dict[str, None] = {}
    for row in value:
        if any(_nested(member) for member in row.values()):
            return ()
        columns.update(dict.fromkeys(row))
        if len(columns) > MAX_COLUMNS:
            return ()
    alike = sum(len(row) for row in value) >= len(columns) * len(value) / 2
    return tuple(columns) if alike else ()


def _nested(value: Any) -> bool:
    return isinstance(value, dict | list) and bool(value)
