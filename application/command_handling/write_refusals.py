"""A database that answers but takes no writes: it is read-only, or its disk is full."""

from time import monotonic

import psycopg
import structlog

_log = structlog.get_logger(__name__)

REMEMBERED = 10.0
"""Seconds for which a refused write counts. Only another write can show that it is over."""


def refused_write(error: BaseException | None) -> str | None:
    """Return why the database takes no writes, None if the error is another one."""
    match error:
        case psycopg.errors.ReadOnlySqlTransaction():
            return "the database is read-only"
        case psycopg.errors.DiskFull():
            return "the disk of the database is full"
        case _:
            return None


def rolled_back(error: BaseException) -> bool:
    """Whether PostgreSQL has answered that it did nothing.

    An error ends its transaction. FATAL and PANIC end the connection, perhaps in the middle of a
    commit, and without an answer there is no severity.
    """
    return isinstance(error, psycopg.Error) and error.diag.severity_nonlocalized == "ERROR"


class WriteRefusals:
    """Remembers why the last write was refused, and logs the first refusal and the end of it."""

    def __init__(self) -> None:
        self._reason: str | None = None
        self._first = self._last = 0.0

    @property
    def reason(self) -> str | None:
        """Why the database takes no writes; None if the last one was taken or is long ago."""
        return self._reason if monotonic() - self._last < REMEMBERED else None

    def note(self, error: BaseException) -> None:
        """Take note of an error, if it is a refusal."""
        reason = refused_write(error)
        if reason is None:
            return
        self._last = monotonic()
        if self._reason is None:
            self._first = self._last
            _log.error("writes_refused", reason=reason, error=str(error))
        self._reason = reason

    def accepted(self) -> None:
        """Take note that a write was accepted."""
        if self._reason is not None:
            self._reason = None
            _log.warning("writes_accepted", seconds=round(monotonic() - self._first, 1))
