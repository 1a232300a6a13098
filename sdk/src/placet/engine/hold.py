"""A worker's hold on one execution, which ends when another worker gets it or it is over."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

from placet.commands import Command, CompleteExecution, FailExecution
from placet.errors import Fenced, Forbidden, InvalidTransition, Unauthenticated
from placet.model import Accepted, Execution

log = logging.getLogger("placet.engine")

Submit = Callable[[Command], Awaitable[Accepted]]


class Hold:
    """Sends the commands of a run for as long as the execution is this worker's.

    When it is no longer, every task of the run is cancelled, and so the workflow ends without
    having anything to say about it.
    """

    def __init__(self, execution: Execution, fence: int, submit: Submit) -> None:
        self.execution = execution
        self.fence = fence
        self.abandoned = False
        self._submit = submit
        self._tasks: set[asyncio.Task[Any]] = set()

    async def send(self, command: Command) -> Accepted:
        """Send a command. Raises Refused and RequestError; CancelledError once abandoned."""
        if self.abandoned:
            raise asyncio.CancelledError
        try:
            accepted = await self._submit(command)
        except (Fenced, Unauthenticated, Forbidden) as error:
            self._lose(error)
        except InvalidTransition as error:
            if error.execution is not None and error.execution.state.final:
                self._lose(error)
            raise
        if accepted.repeated and not isinstance(command, CompleteExecution | FailExecution):
            # What was done before the end is still answered after it.
            execution = accepted.execution
            if execution is not None and execution.state.final:
                self._lose(f"it is {execution.state}")
        return accepted

    def join(self) -> None:
        """Have the current task cancelled with the run."""
        task = asyncio.current_task()
        if task is not None and task not in self._tasks:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def cancel(self) -> None:
        """Cancel all tasks of the run but the one that asks for it."""
        for task in self._tasks - {asyncio.current_task()}:
            task.cancel()

    def abandon(self) -> None:
        """Stop at once, and record nothing more."""
        self.abandoned = True
        self.cancel()

    def _lose(self, why: object) -> NoReturn:
        log.info("execution %s is abandoned: %s", self.execution.id, why)
        self.abandon()
        raise asyncio.CancelledError
