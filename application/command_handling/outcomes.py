"""The outcomes of commands."""

from datetime import datetime

import msgspec

from domain.execution.state import Execution
from domain.refusals import RefusalCode


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """The command was carried out, now or, if ``repeated``, before.

    ``position`` is the position of the last event that it recorded, and ``at`` its time.
    ``execution`` is the state right after the command, or for a repeat the current state.
    ``ordinal`` is the approval that the command was about.
    """

    position: int
    at: datetime
    repeated: bool
    execution: Execution
    ordinal: int | None = None


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """The command was refused, and nothing was recorded.

    ``execution`` is the current state, None if there is no such execution.
    """

    code: RefusalCode
    message: str
    execution: Execution | None = None
    ordinal: int | None = None


class UnavailableError(Exception):
    """The database can't be reached, and nothing was recorded."""


Outcome = Accepted | Refused | Exception
"""The answer to a request. An exception is a fault; then nothing was recorded."""
