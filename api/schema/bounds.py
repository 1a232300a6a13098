"""For how long an answer may be put off."""

from datetime import timedelta

from api.errors import limit_exceeded

NO_WAIT = timedelta(0)
MAX_WAIT = timedelta(seconds=20)


def check_wait(wait: timedelta | None) -> timedelta:
    """Give the time, by default none. Raises LIMIT_EXCEEDED outside of 0 to 20 seconds."""
    wanted = NO_WAIT if wait is None else wait
    if not NO_WAIT <= wanted <= MAX_WAIT:
        raise limit_exceeded("wait must be from PT0S to PT20S")
    return wanted
