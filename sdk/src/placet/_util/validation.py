"""What the service takes of names, keys, titles and sizes, checked before anything is sent."""

import msgspec

from placet.errors import InvalidInput
from placet.models.rules import MAX_JSON_BYTES, MAX_NAME, MAX_TEXT, MAX_TITLE

_MAX_SHOWN = 60


def check_name(value: object, what: str, advice: str, limit: int = MAX_NAME) -> None:
    """Check a name or a key.

    ``what`` says which it is, and ``advice`` what to do about an invalid one. Raises ValueError,
    and TypeError for a value that is not a string.
    """
    if not isinstance(value, str):
        msg = f"{what} is {value!r}, it must be a string; {advice}"
        raise TypeError(msg)
    if value.strip() and len(value) <= limit and value.isprintable():
        return
    if not value.strip():
        wrong = "is empty"
    elif len(value) > limit:
        wrong = f"has {len(value)} characters, the service takes {limit}"
    else:
        wrong = "holds a character that can't be printed, such as a line break"
    shown = value if len(value) <= _MAX_SHOWN else f"{value[:_MAX_SHOWN]}…"
    msg = f"{what} {shown!r} {wrong}; {advice}"
    raise ValueError(msg)


def is_name(value: str) -> bool:
    """Whether a string can be a name or a key."""
    return bool(value.strip()) and len(value) <= MAX_NAME and value.isprintable()


def check_question(title: str, description: str | None, payload: object) -> None:
    """Check the sizes of what people are to be shown. ``payload`` is plain JSON.

    Raises InvalidInput with the message of the service, which checks everything else itself.
    """
    for what, text, limit in (
        ("title", title, MAX_TITLE),
        ("description", description or "", MAX_TEXT),
    ):
        if len(text) > limit:
            _refuse(f"{what} has {len(text)} characters, the limit is {limit}")
    if not title.strip():
        _refuse("title must not be empty")
    if (size := len(msgspec.json.encode(payload))) > MAX_JSON_BYTES:
        _refuse(f"payload is {size} bytes of JSON, the limit is {MAX_JSON_BYTES}")


def _refuse(problem: str) -> None:
    raise InvalidInput("INVALID_INPUT", problem)
