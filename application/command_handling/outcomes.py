"""The outcomes of commands."""

from datetime import datetime

import msgspec

from application.event_store.chained_events import as_execution
from domain.aggregates import Aggregate
from domain.execution.state import Execution
from domain.refusals import RefusalCode


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """The command was carried out, now or, if ``repeated``, before.

    ``position`` is the position of the last event that it recorded, ``hash`` the hash of that event
    and ``at`` its time.
    ``state`` is that of the execution or standing grant right after the command, or for a repeat
    the current one.
    ``ordinal`` is the approval that the command was about.
    """

    position: int
    hash: str
    at: datetime
    repeated: bool
    state: Aggregate
    ordinal: int | None = None

    @property
    def execution(self) -> Execution:
        """The state of the execution. Raises TypeError if the command was about another stream."""
        return as_execution(self.state)


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """The command was refused, and nothing was recorded.

    ``state`` is the current one of the execution or standing grant, None if there is none.
    """

    code: RefusalCode
    message: str
    state: Aggregate | None = None
    ordinal: int | None = None

    @property
    def execution(self) -> Execution | None:
        """The current state of the execution, None if there is none that the command was about."""
        return self.state if isinstance(self.state, Execution) else None


class UnavailableError(Exception):
    """The database can't be reached, and nothing was recorded."""


Outcome = Accepted | Refused | Exception
"""The answer to a request. An exception is a fault; then nothing was recorded."""
