"""Text of strangers as HTML: what can't be seen or reorders a line is named."""

import unicodedata

from markupsafe import Markup, escape

from api.visible_text import HIDDEN, code_point, visible

__all__ = ["plain", "visible"]


def plain(text: object) -> Markup:
    """Return a text as HTML: never markup of its own, and with hidden characters marked."""
    # A translated text with a name in it is escaped already, and is not to be escaped twice.
    given = text.unescape() if isinstance(text, Markup) else str(text)
    if HIDDEN.search(given) is None:
        return escape(given)
    parts, at = [], 0
    for match in HIDDEN.finditer(given):
        name = unicodedata.name(match[0], "control character")
        parts.append(escape(given[at : match.start()]))
        parts.append(
            Markup('<span class="hidden-character" title="{}">{}</span>').format(
                name, code_point(match[0])
            )
        )
        at = match.end()
    parts.append(escape(given[at:]))
    return Markup("").join(parts)
