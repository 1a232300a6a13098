"""What the service takes of a question to people, told before anything is started for it."""

import msgspec

from placet.errors import InvalidInput
from placet.models.rules import MAX_JSON_BYTES, MAX_TEXT, MAX_TITLE

__all__ = ["MAX_JSON_BYTES", "MAX_TEXT", "MAX_TITLE", "check_question"]


def check_question(title: str, description: str | None, payload: object) -> None:
    """Check the sizes of what people are to be shown; ``payload`` is plain JSON.

    Raises InvalidInput in the words of the service, which is the judge of all else.
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
