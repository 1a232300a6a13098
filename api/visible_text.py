"""Text of strangers, made safe to read: what can't be seen or reorders a line is named.

Such a character could make a text look like another one. Its code point is shown instead, as
Unicode Technical Report 36 recommends for characters that have no shape of their own.
"""

import re

# Controls but tab and line feed, marks and overrides of direction, invisible operators, line and
# paragraph separators, the byte order mark, soft hyphens, fillers, and tags. The joiners U+200C and
# U+200D stay: scripts and emoji need them.
HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff\ud800-\udfff]"
)

BLANK = " \t\u00a0\u200c\u200d\u2800\u3000"
"""Characters in which there is nothing to see, and which are not named."""
UNTITLED = "(a title of blanks)"
_BREAK = "\u200b"
# What programs take for a link: a scheme, an address, and a name of a host.
_LINKS = re.compile(
    r"(?<=[A-Za-z])(?=://)|(?<=:)(?=//)|(?<=\S)(?=@)|(?<=\w)(?=\.[^\W\d_])|(?<=www)(?=\.)|"
    r"(?<=mailto:)|(?<=tel:)|(?<=\b[Xx]n--)"
)


def visible(text: str) -> str:
    """Return the text with each hidden character replaced by its code point, such as [U+202E]."""
    return HIDDEN.sub(lambda match: f"[{code_point(match[0])}]", text)


def one_line(text: str, most: int) -> str:
    """Return the text as one visible line of at most so many characters."""
    line = visible(" ".join(text[: most * 4].split()))
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


def title_line(text: str, most: int) -> str:
    """Return a title as one visible line. If there is nothing to see in it, it says so."""
    line = one_line(text, most)
    return line if line.strip(BLANK) else UNTITLED


def unlinked(text: str) -> str:
    """Return the text so that no program makes a link of a part of it. It looks the same."""
    return _LINKS.sub(_BREAK, text)


def code_point(character: str) -> str:
    """Return a code point as Unicode writes it."""
    return f"U+{ord(character):04X}"
