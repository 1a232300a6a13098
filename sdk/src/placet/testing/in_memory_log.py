"""The log of one execution in memory, with the time of its events."""

from collections.abc import Callable
from copy import deepcopy
from datetime import datetime
from typing import Any, NoReturn

from placet.engine.history import WAKES, Event
from placet.errors import REFUSALS
from placet.models.enums import ExecutionState
from placet.models.responses import ApprovalRecord
from placet.models.worker_responses import Past

FIRST_VERSION = 3
"""After Started and Claimed."""

_ENDS = {"Completed": ExecutionState.COMPLETED, "Failed": ExecutionState.FAILED}


class InMemoryLog:
    """Appends events. ``now`` is the time that they get, ``woken`` the version of the last wake-up.

    ``happened`` is called with each event for which a workflow may wait.
    """

    def __init__(self, now: datetime, happened: Callable[[Event], None]) -> None:
        self.now = now
        self.events: list[Past] = []
        self.woken = 0
        self._happened = happened

    @property
    def version(self) -> int:
        """The version of the last event."""
        return FIRST_VERSION - 1 + len(self.events)

    @property
    def end(self) -> ExecutionState | None:
        """The state in which the execution ended, None while it has not."""
        return _ENDS.get(self.events[-1].type) if self.events else None

    def append(self, type_: str, approval: ApprovalRecord | None = None, **data: Any) -> None:
        """Append an event. ``approval``: the one that it resolves."""
        version = self.version + 1
        # The workflow may change what it holds. The record must not change with it.
        kept = deepcopy(data)
        self.events.append(
            Past(position=str(version), version=version, type=type_, at=self.now, data=kept)
        )
        if type_ in WAKES:
            self.woken = version
            self._happened(
                Event(version, version, type_, self.now, deepcopy(data), deepcopy(approval))
            )


def refuse(code: str, message: str) -> NoReturn:
    """Refuse a command, as the service does."""
    raise REFUSALS[code](code, message)
