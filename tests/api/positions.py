"""The numbers of the positions that clients are handed."""

from api.schema.positions import parse_position


def number(text: str) -> int:
    """Return the number of a position or cursor."""
    position = parse_position(text, "position")
    assert position is not None
    return position.number
