"""Refusals of commands, and the errors for a damaged or impossible log."""

from enum import StrEnum


class RefusalCode(StrEnum):
    """Stable codes of refusals. Clients branch on them; the message beside them is for people."""

    NOT_FOUND = "NOT_FOUND"
    FORBIDDEN = "FORBIDDEN"
    INVALID_TRANSITION = "INVALID_TRANSITION"
    NOT_ELIGIBLE = "NOT_ELIGIBLE"
    ALREADY_DECIDED = "ALREADY_DECIDED"
    ALREADY_REDEEMED = "ALREADY_REDEEMED"
    DIGEST_MISMATCH = "DIGEST_MISMATCH"
    INVALID_INPUT = "INVALID_INPUT"
    KEY_REUSED = "KEY_REUSED"
    STEP_UP_REQUIRED = "STEP_UP_REQUIRED"
    LAPSED = "LAPSED"
    FENCED = "FENCED"
    VERSION_CONFLICT = "VERSION_CONFLICT"
    SKIPPED = "SKIPPED"
    OVERLOADED = "OVERLOADED"
    OUTCOME_UNKNOWN = "OUTCOME_UNKNOWN"
    INTERNAL = "INTERNAL"


class Refusal(Exception):  # noqa: N818 - it is an answer, not an error
    """A command was refused, and nothing was recorded.

    ``message`` is shown to users.
    """

    def __init__(self, code: RefusalCode, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class IllegalTransitionError(Exception):
    """A recorded event is not possible in the state before it: the log or the code is wrong."""


class UnknownTopicError(Exception):
    """A stored event has a topic that this version of the code does not know."""


class DamagedEventError(Exception):
    """The bytes of a stored event or state can't be read."""
