"""How large one answer, or one message of a subscription, may become.

It is counted while the answer is made, so that what is too large is never made.
"""

from typing import Any

import orjson

MAX_ANSWER_BYTES = 8 * 1024 * 1024
FIELD_BYTES = 16
"""Bytes that a field counts for besides its value. Making many small ones takes time too."""


class AnswerTooLargeError(Exception):
    """The answer has become too large."""


class AnswerBudget:
    """What an answer may still take, in bytes of JSON."""

    __slots__ = ("left", "limit")

    def __init__(self, limit: int = MAX_ANSWER_BYTES) -> None:
        self.limit = limit
        self.left = limit

    def begin(self) -> None:
        """Begin with a new answer."""
        self.left = self.limit

    def spend(self, size: int) -> None:
        """Count bytes. Raises AnswerTooLargeError."""
        self.left -= size
        if self.left < 0:
            raise AnswerTooLargeError

    @property
    def exceeded(self) -> bool:
        """Whether the answer has become too large."""
        return self.left < 0


def spend(context: Any, size: int) -> None:
    """Count bytes of the answer to a request. Raises AnswerTooLargeError.

    Contexts without a budget, as in tests of other schemas, are not limited.
    """
    budget: AnswerBudget | None = getattr(context, "answer", None)
    if budget is not None:
        budget.spend(size)


def size_of(value: Any) -> int:
    """Return roughly how many bytes a value of a scalar takes as JSON."""
    kind = type(value)
    if kind is str:
        return len(value) if value.isascii() else 3 * len(value)
    if kind is dict or kind is list:
        try:
            return len(orjson.dumps(value))
        except TypeError:
            # A whole number of more than 64 bits, or half a surrogate pair.
            return len(str(value))
    return 0
