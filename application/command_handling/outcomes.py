"""What became of a command."""

from datetime import datetime

import msgspec

from domain.execution.state import Execution
from domain.refusals import RefusalCode


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """The command was carried out, now or, if ``repeated``, before.

    ``position`` is that of the last event that it recorded then, and ``at`` its time.
    ``execution`` is the state right after the command (of a repeat, as it stands now) and
    ``ordinal`` names the approval that the command was about.
    """

    position: int
    at: datetime
    repeated: bool
    execution: Execution
    ordinal: int | None = None


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing was recorded. ``execution`` is the state as it stands, where there is one."""

    code: RefusalCode
    message: str
    execution: Execution | None = None
    ordinal: int | None = None


class UnavailableError(Exception):
    """The database can't be reached, and nothing was recorded."""


Outcome = Accepted | Refused | Exception
"""What a request is answered with. An exception is a fault, of which nothing was recorded."""
