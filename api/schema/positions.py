"""How clients are handed positions of the log: as digits that name the event, too.

The digits are the number of the position, and then 20 digits for the first 64 bits of the event's
hash. So later positions are larger numbers. A number of at most 19 digits is a position as earlier
versions handed it out, and the position 0 is "0".
"""

from api.context import Context
from api.errors import bad_request
from api.schema.paging import MAX_POSITION, number_of
from application.event_store.chained_events import LoggedEvent
from application.event_store.positions import HASH_DIGITS, LogPosition

_DIGITS = 20
_MAX_PLAIN = len(str(MAX_POSITION))


def position_text(number: int, hash_: str) -> str:
    """Return what a client is handed for a position. An empty hash leaves the number alone."""
    return f"{number}{int(hash_[:HASH_DIGITS], 16):0{_DIGITS}}" if hash_ else str(number)


def position_of(event: LoggedEvent) -> str:
    """Return what a client is handed for the position of an event."""
    return position_text(event.position, event.hash)


def parse_position(text: str | None, name: str) -> LogPosition | None:
    """Parse what a client was handed. Raises BAD_REQUEST for anything else."""
    if text is None:
        return None
    plain = text[:-_DIGITS]
    if len(text) <= _MAX_PLAIN or not (text.isascii() and text.isdecimal()):
        number = number_of(text, name)
        return None if number is None else LogPosition(number)
    mark = int(text[-_DIGITS:]) if len(plain) <= _MAX_PLAIN else 2**64
    if not plain or mark >= 2**64 or int(plain) > MAX_POSITION:
        msg = f"{name} {text[:40]!r} is not a value that this service has returned"
        raise bad_request(msg)
    return LogPosition(int(plain), f"{mark:0{HASH_DIGITS}x}")


async def known_position(context: Context, text: str | None, name: str) -> int | None:
    """Parse a position of the log, and check that the log has it.

    Raises BAD_REQUEST, or PositionUnknownError for a position beyond the end of the log or of
    another timeline.
    """
    position = parse_position(text, name)
    if position is None:
        return None
    await context.services.reader.positions.check_position(position)
    return position.number
