"""Texts of strangers as Slack's blocks, in which they are never markup.

Slack reads ``*bold*``, ``<!channel>`` and links in a text of type ``mrkdwn``, and has no escape for
most of it. So cards are made of ``rich_text`` and ``plain_text``, in which a text is only a text.
Characters that can't be seen are named, as on the pages of the console.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from api.console.plain_text import visible
from api.visible_text import BLANK, UNTITLED

Block = dict[str, Any]
Element = dict[str, Any]

BREAK = "\u21b5"
"""Stands for a line break in a text that has one line."""
MAX_HEADER = 150
MAX_INDENT = 6
ELLIPSIS = "\u2026"


def one_line(text: str) -> str:
    """Return a text in one line, with its line breaks visible."""
    return visible(f" {BREAK} ".join(text.replace("\r\n", "\n").split("\n")))


def lines(text: str) -> str:
    """Return a text of several lines. Each line that follows a break is marked as one."""
    return visible(f" {BREAK}\n".join(text.replace("\r\n", "\n").split("\n")))


def shortened(text: str, most: int) -> str:
    """Return a text of at most so many characters, with an ellipsis if it was longer."""
    return text if len(text) <= most else text[: most - 1] + ELLIPSIS


def escaped(text: str) -> str:
    """Return a text for the places that Slack always reads as markup: no link and no mention in it.

    Such a place is the text of a notification.
    """
    return one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def plain(text: str) -> Element:
    """Return a text object in which nothing is markup, not even the name of an emoji."""
    return {"type": "plain_text", "text": text, "emoji": False}


def words(text: str, *, bold: bool = False, italic: bool = False) -> Element:
    """Return a piece of a rich text."""
    style = {name: True for name, wanted in (("bold", bold), ("italic", italic)) if wanted}
    return {"type": "text", "text": text, **({"style": style} if style else {})}


def moment(at: datetime) -> Element:
    """Return a time, which Slack shows in the reader's zone and language."""
    return {
        "type": "date",
        "timestamp": int(at.timestamp()),
        "format": "{date_short_pretty} at {time}",
        "fallback": f"{at:%Y-%m-%d %H:%M} UTC",
    }


def section(elements: Iterable[Element]) -> Element:
    """Return a paragraph of a rich text."""
    return {"type": "rich_text_section", "elements": list(elements)}


def quote(text: str) -> Element:
    """Return a text with a bar beside it: words that are somebody's own."""
    return {"type": "rich_text_quote", "elements": [words(visible(text.replace("\r\n", "\n")))]}


def bullets(items: Iterable[list[Element]], indent: int = 0) -> Element:
    """Return a list of a rich text. ``indent`` counts levels from 0."""
    return {
        "type": "rich_text_list",
        "style": "bullet",
        "indent": indent,
        "elements": [section(item) for item in items],
    }


def rich_text(*elements: Element) -> Block:
    """Return a block of paragraphs, quotes and lists."""
    return {"type": "rich_text", "elements": list(elements)}


def header(text: str) -> Block:
    """Return a heading of one line, shortened to what Slack allows."""
    shown = one_line(text)
    if not shown.strip(BLANK):
        # Slack refuses a heading in which there is nothing to see.
        shown = UNTITLED
    return {"type": "header", "text": plain(shortened(shown, MAX_HEADER))}


def small(text: str) -> Block:
    """Return a line in small and grey letters."""
    return {"type": "context", "elements": [plain(text)]}


def size_of(block: Any) -> int:
    """Return how many characters of text a block has."""
    if isinstance(block, dict):
        own = len(block["text"]) if isinstance(block.get("text"), str) else 0
        return own + sum(map(size_of, block.values()))
    return sum(map(size_of, block)) if isinstance(block, list) else 0
