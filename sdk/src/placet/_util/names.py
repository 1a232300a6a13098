"""The service's rule for keys and names, told before anything is asked of it."""

from placet.models.rules import MAX_NAME

__all__ = ["MAX_NAME", "check_name"]

_MAX_SHOWN = 60


def check_name(value: object, what: str, advice: str, limit: int = MAX_NAME) -> None:
    """Check a name or key by what the service takes.

    ``what`` says which it is, and ``advice`` what to do about another. Raises ValueError, and
    TypeError for what is no string.
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
