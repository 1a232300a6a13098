"""Positions of the log that name their timeline.

A database can be replaced by one that lacks the last commits: a standby that takes over, or a copy
that is restored. It then gives the same positions to other events. So a position that a client is
handed names the event at it, by the first 64 bits of the event's hash.
"""

from typing import NamedTuple

HASH_DIGITS = 16
"""How many hexadecimal digits of a hash are compared."""


class LogPosition(NamedTuple):
    """A position, and the beginning of the hash of the event at it.

    ``mark`` is "" if only the number is known, and for the position 0, where there is no event.
    """

    number: int
    mark: str = ""

    @classmethod
    def of(cls, number: int, hash_: str) -> "LogPosition":
        """Return the position of an event with this hash."""
        return cls(number, hash_[:HASH_DIGITS])

    def names(self, hash_: str) -> bool:
        """Whether it may be the position of an event with this hash."""
        return not self.mark or hash_.startswith(self.mark)


class PositionUnknownError(Exception):
    """The log does not have this position, no longer has it, or has another event at it."""


def beyond(position: int, end: int) -> PositionUnknownError:
    """Return the error for a position after the end of the log."""
    return PositionUnknownError(
        f"the log ends at {end}, before the position {position}; begin anew"
    )


def of_another_timeline(position: int) -> PositionUnknownError:
    """Return the error for a position that names an event which is not there."""
    return PositionUnknownError(
        f"the event at {position} is not the one that was there when this was handed out: the "
        "database was replaced by another copy; begin anew"
    )
