"""A payload as blocks of a card: one line for each value, nested ones as nested lists.

Nothing is left out and nothing is changed. A payload that Slack could not show whole does not fit.
"""

from collections.abc import Iterator
from itertools import groupby
from typing import Any, NamedTuple

from api.console.views.fields import cell
from api.slack.rich_text import (
    MAX_INDENT,
    Block,
    Element,
    bullets,
    lines,
    one_line,
    quote,
    rich_text,
    section,
    size_of,
    words,
)

MAX_TEXT = 3_000
"""Characters of one text or block."""
MAX_LINES = 200


class DoesNotFitError(Exception):
    """Slack can't show the whole document."""


class _Line(NamedTuple):
    """A value, or without one the name of what is in the lines below."""

    depth: int
    label: str
    value: str | None


def payload_blocks(payload: Any) -> list[Block]:
    """Return the blocks that show a payload whole. Raises DoesNotFitError."""
    shown = []
    for line in _lines(payload, 0):
        shown.append(line)
        if len(shown) > MAX_LINES:
            raise DoesNotFitError
    parts: list[Element] = []
    for depth, group in groupby(shown, key=lambda line: line.depth):
        same = list(group)
        parts += _paragraphs(same) if depth == 0 else [_list(same, depth - 1)]
    return _blocks(parts)


def _lines(value: Any, depth: int) -> Iterator[_Line]:
    if depth > MAX_INDENT:
        raise DoesNotFitError
    if isinstance(value, dict) and value:
        members = list(value.items())
    elif isinstance(value, list) and value:
        members = [(str(number), item) for number, item in enumerate(value, 1)]
    else:
        yield _Line(depth, "Value", _text(value))
        return
    for label, member in members:
        if isinstance(member, dict | list) and member:
            yield _Line(depth, label, None)
            yield from _lines(member, depth + 1)
        else:
            yield _Line(depth, label, _text(member))


def _text(value: Any) -> str:
    text = cell(value).text
    if len(text) > MAX_TEXT:
        raise DoesNotFitError
    return text


def _paragraphs(shown: list[_Line]) -> list[Element]:
    """Return lines of the first level. A text of several lines stands by itself, with a bar."""
    parts: list[Element] = []
    elements: list[Element] = []
    for line in shown:
        if elements:
            elements.append(words("\n"))
        several = line.value is not None and "\n" in line.value
        elements += _label(line)
        if line.value is not None and not several:
            elements.append(words(one_line(line.value)))
        if several or sum(map(size_of, elements)) > MAX_TEXT // 2:
            parts.append(section(elements))
            elements = []
        if several:
            assert line.value is not None
            parts.append(quote(line.value))
    return [*parts, section(elements)] if elements else parts


def _list(shown: list[_Line], indent: int) -> Element:
    items = []
    for line in shown:
        value = [] if line.value is None else [words(lines(line.value))]
        items.append([*_label(line), *value])
    return bullets(items, indent)


def _label(line: _Line) -> list[Element]:
    # A key can be empty, which has to be seen.
    name = one_line(line.label) or '""'
    return [words(f"{name}: ", bold=True)]


def _blocks(parts: list[Element]) -> list[Block]:
    """Put paragraphs and lists into as few blocks as Slack allows."""
    blocks: list[list[Element]] = [[]]
    room = MAX_TEXT
    for part in parts:
        size = size_of(part)
        if size > MAX_TEXT:
            raise DoesNotFitError
        if size > room:
            blocks.append([])
            room = MAX_TEXT
        blocks[-1].append(part)
        room -= size
    return [rich_text(*block) for block in blocks if block]
