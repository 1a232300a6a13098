"""Stops what ends one worker after the other: a workflow or a step that kills its process.

All executions that a worker had claimed lose it together, and one of them may be the cause. So what
has lost workers again and again is begun alone, and a mark of that is recorded first. Only what
loses its worker each time it is begun alone is parked.
"""

import asyncio
from heapq import heappop, heappush

from placet.engine.history import ALONE, ExecutionHistory
from placet.models.commands import RecordStep

SUSPECT = 2
"""After so many lost workers in a row, without any record in between, it is begun alone."""
LIMIT = 5
"""So many workers may be lost that had begun it alone."""
TURN_SECONDS = 2.0
"""For so long at most the others wait for one that is begun alone."""


def reason(history: ExecutionHistory, step: str | None) -> str:
    """Return why an execution is parked. ``step``: what is next, None if it was not replayed."""
    next_is = "the workflow's own code" if step is None else step
    return (
        f"{history.lost} workers in a row ended before they recorded anything of it, so it may end"
        f" the process that runs it; what was next is {next_is}, after version {history.version}."
        " Look for a crash or for memory that ran out, then unpark it"
    )


def mark(execution_id: str, fence: int, history: ExecutionHistory) -> RecordStep:
    """Return the command that records that an execution is begun alone."""
    return RecordStep(
        execution_id=execution_id,
        fence=fence,
        key=f"{ALONE}{history.version}",
        name="begun alone",
        result=history.lost,
    )


class SuspectTurns:
    """Lets one execution at a time be begun among those of one engine that lost their workers.

    The turn of one is over when it has recorded something, waits, or is gone, and after a while in
    any case: what takes that long to end its process does not wait for the others.
    """

    def __init__(self) -> None:
        self._turn: str | None = None
        # The least often begun first, because the others are more likely to be the cause.
        self._waiting: list[tuple[int, str, asyncio.Future[None]]] = []

    async def wait(self, execution_id: str, begun: int) -> None:
        """Wait for the turn of an execution that was begun alone so many times before."""
        loop = asyncio.get_running_loop()
        mine = loop.create_future()
        heappush(self._waiting, (begun, execution_id, mine))
        self._next()
        try:
            await mine
        except asyncio.CancelledError:
            self.end(execution_id)
            raise
        loop.call_later(TURN_SECONDS, self.end, execution_id)

    def end(self, execution_id: str) -> None:
        """Note that the turn of an execution is over, if it is its turn."""
        if self._turn == execution_id:
            self._turn = None
            self._next()

    def _next(self) -> None:
        while self._turn is None and self._waiting:
            _, execution_id, its = heappop(self._waiting)
            if not its.done():
                self._turn = execution_id
                its.set_result(None)
