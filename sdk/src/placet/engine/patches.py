"""Which places of a workflow run changed code: the answers of ``run.patched``."""

import asyncio

from placet.engine.history import MARKER, Event, ExecutionHistory
from placet.engine.host import Host
from placet.models.commands import RecordStep


class Patches:
    """Answers whether a workflow runs the changed code at a place, and records each new yes.

    The answer is yes where the history says yes, and past the end of the history. Everywhere else
    the execution passed the place before the change, so it must run the old code. The first answer
    for a name stays. ``marking`` are the tasks that record a yes.
    """

    def __init__(self, host: Host, history: ExecutionHistory) -> None:
        self.marking: frozenset[asyncio.Task[None]] = frozenset()
        self._host = host
        self._marks = history.marks
        self._unmarked: set[str] = set()
        self._left = sum(map(_from_worker, (*history.first, *history.last)))
        self._ended = history.state.final

    def replayed(self, event: Event) -> None:
        """Note that the workflow comes to an event of the history."""
        self._left -= _from_worker(event)

    def answer(self, name: str, *, record: bool) -> bool:
        """Answer for the change of this name, and with ``record`` record a new yes."""
        key = MARKER + name
        if key in self._marks:
            return True
        if key in self._unmarked or self._left > 0 or self._ended:
            # A later place must get the same answer, now and in every replay.
            self._unmarked.add(key)
            return False
        self._marks = self._marks | {key}
        if record:
            self.marking |= {self._host.spawn(self._mark(key))}
        return True

    async def _mark(self, key: str) -> None:
        command = RecordStep(
            execution_id=self._host.execution.id,
            fence=self._host.fence,
            key=key,
            name="patched",
            result=True,
        )
        await self._host.send(command)


def _from_worker(event: Event) -> bool:
    """Whether a worker must have run the workflow to here; some may come before the first."""
    return event.type not in {"SignalReceived", "CancellationRequested"}
