"""The order of positions of the log."""

_PLAIN = 19
_MARK = 20


def number_of(position: str) -> int:
    """Return the number of a position, by which positions are ordered.

    A server appends 20 digits to the number that name the event at it. Earlier versions did not;
    then there are at most 19 digits.
    """
    return int(position if len(position) <= _PLAIN else position[:-_MARK])
