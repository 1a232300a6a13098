"""How much one request may ask for. The sdk has copies of these numbers: ``make generate``."""

from datetime import timedelta

from api.errors import bad_request, limit_exceeded
from api.graphql.query_limits import MAX_PAGE

MAX_COMMANDS = 256
MAX_DECISIONS = 100

NO_WAIT = timedelta(0)
MAX_WAIT = timedelta(seconds=20)

DEFAULT_LEASE = timedelta(seconds=30)
MIN_LEASE, MAX_LEASE = timedelta(seconds=1), timedelta(hours=1)
MAX_CLAIMS = 500
MAX_CAPACITY = 1_000_000
MAX_QUEUES = 100
MAX_HOLDING = 10_000


def page_size(first: int | None, default: int) -> int:
    """Return ``first``, or the default. Raises LIMIT_EXCEEDED below 0 and above MAX_PAGE."""
    size = default if first is None else first
    if not 0 <= size <= MAX_PAGE:
        msg = f"first is {size}, it must be from 0 to {MAX_PAGE}"
        raise limit_exceeded(msg)
    return size


def check_wait(wait: timedelta | None) -> timedelta:
    """Return the wait, by default none. Raises LIMIT_EXCEEDED outside of 0 to 20 seconds."""
    wanted = NO_WAIT if wait is None else wait
    if not NO_WAIT <= wanted <= MAX_WAIT:
        raise limit_exceeded("wait must be from PT0S to PT20S")
    return wanted


def check_lease(lease: timedelta | None) -> timedelta:
    """Return the lease, by default 30 seconds. Raises BAD_REQUEST outside of 1 s to 1 h."""
    wanted = DEFAULT_LEASE if lease is None else lease
    if not MIN_LEASE <= wanted <= MAX_LEASE:
        raise bad_request("lease must be from PT1S to PT1H")
    return wanted


def check_grace(grace: timedelta | None) -> timedelta | None:
    """Return the grace, None for none. Raises BAD_REQUEST outside of 0 to 1 hour."""
    if grace is not None and not timedelta(0) <= grace <= MAX_LEASE:
        raise bad_request("grace must be from PT0S to PT1H")
    return grace


def check_number(value: int | None, default: int, low: int, high: int, name: str) -> int:
    """Return the number, or the default. Raises BAD_REQUEST below ``low`` and above ``high``."""
    wanted = default if value is None else value
    if not low <= wanted <= high:
        msg = f"{name} is {wanted}, it must be from {low} to {high}"
        raise bad_request(msg)
    return wanted
