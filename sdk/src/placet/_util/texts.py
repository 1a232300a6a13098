"""Texts that the service takes: what it refuses in them, and how a text is made to fit."""

import re

from placet.models.rules import MAX_TEXT, NO_CHARACTERS

REPLACEMENT = "\ufffd"

_BARRED = re.compile(
    "[" + "".join(f"{chr(first)}-{chr(last)}" for first, last in NO_CHARACTERS) + "]"
)
_BARRED_OR_NUL = re.compile(f"{_BARRED.pattern[:-1]}\\x00]")


def barred(text: str) -> str | None:
    """Return the first code point of a text that is no Unicode character, or None."""
    if text.isascii():
        return None
    found = _BARRED.search(text)
    return None if found is None else found.group()


def cleaned(text: str, limit: int = MAX_TEXT) -> str:
    """Return a text that the service takes.

    What it refuses is replaced: surrogates by question marks, NUL and code points that are no
    characters by U+FFFD. A text that is too long is cut.
    """
    return _BARRED_OR_NUL.sub(REPLACEMENT, text[:limit].encode(errors="replace").decode())
