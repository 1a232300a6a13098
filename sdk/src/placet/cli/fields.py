"""JSON values as lines that people read. No text of a value can pass for a line of its own."""

import json
from collections.abc import Iterator
from typing import Any

from rich.cells import cell_len

MAX_INDENT = 20
"""Levels. What is deeper stands at the same place, with its level before it."""
_INDENT = "  "
_BAR = "| "
_ROWS = 2
_TABLE_WIDTH = 50
"""Columns, so that a table is one at 60 columns too, a few levels deep."""


def fields(value: Any, depth: int = 0) -> Iterator[str]:
    """Yield a JSON value as lines: names before values, and everything that it has."""
    match value:
        case dict() if value:
            width = min(max(len(shown_name(name)) for name in value), 24)
            for name, member in value.items():
                yield from _named(f"{shown_name(name):<{width}}", member, depth)
        case list() if (rows := _table(value)) is not None:
            yield from (_at(depth, row) for row in rows)
        case list() if value:
            for item in value:
                yield from _named("-", item, depth)
        case str() if "\n" in value:
            yield from (_at(depth, _BAR + each) for each in value.split("\n"))
        case _:
            yield _at(depth, scalar(value))


def _table(items: list[Any]) -> list[str] | None:
    """Return objects with the same plain members as a table, None if it would be none or wide."""
    if len(items) < _ROWS or not all(isinstance(each, dict) and each for each in items):
        return None
    names = list(items[0])
    if any(list(each) != names or any(map(_large, each.values())) for each in items):
        return None
    rows = [[shown_name(name) for name in names]]
    rows += [[scalar(each[name]) for name in names] for each in items]
    widths = [max(cell_len(row[n]) for row in rows) for n in range(len(names))]
    if sum(widths) + 2 * len(widths) > _TABLE_WIDTH:
        return None
    return [
        "  ".join(cell + " " * (widths[n] - cell_len(cell)) for n, cell in enumerate(row)).rstrip()
        for row in rows
    ]


def _large(value: Any) -> bool:
    return isinstance(value, dict | list) or (isinstance(value, str) and "\n" in value)


def scalar(value: Any) -> str:
    """Return a value without members. What could be taken for another one stands in quotes."""
    if isinstance(value, str):
        plain = value == value.strip() and value and not _looks_like_json(value)
        return value if plain and "\n" not in value else json.dumps(value, ensure_ascii=False)
    return json.dumps(value, ensure_ascii=False)


def shown_name(name: str) -> str:
    """Return the name of a member, in quotes if it could be taken for something else."""
    return name if name.isprintable() and name.strip() == name and name else json.dumps(name)


def _named(name: str, value: Any, depth: int) -> Iterator[str]:
    if (isinstance(value, dict | list) and value) or (isinstance(value, str) and "\n" in value):
        yield _at(depth, name.rstrip())
        yield from fields(value, depth + 1)
    else:
        yield _at(depth, f"{name}  {scalar(value)}")


def _at(depth: int, text: str) -> str:
    if depth <= MAX_INDENT:
        return _INDENT * depth + text
    return f"{_INDENT * MAX_INDENT}[level {depth + 1}] {text}"


def _looks_like_json(text: str) -> bool:
    if text[0] in '"[{':
        return True
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
