"""Sends the commands of one execution until its worker loses it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import NoReturn, Protocol

from placet.errors import Fenced, Forbidden, InvalidTransition, Unauthenticated
from placet.models.commands import Command, CompleteExecution, FailExecution
from placet.models.worker_responses import Noted

log = logging.getLogger("placet.engine")


class Submit(Protocol):
    """Sends a command that is about an execution. Raises Refused and RequestError."""

    def __call__(self, command: Command, execution_id: str, /) -> Awaitable[Noted]:
        """Send it."""


class FencedSender:
    """Sends the commands of a run for as long as the worker holds the execution.

    ``lost`` is called when an answer shows that it does not any more: another worker has claimed
    the execution, or it is over.
    """

    __slots__ = ("_execution_id", "_lost", "_submit", "abandoned")

    def __init__(self, execution_id: str, submit: Submit, lost: Callable[[], None]) -> None:
        self.abandoned = False
        self._execution_id = execution_id
        self._submit = submit
        self._lost = lost

    async def send(self, command: Command) -> Noted:
        """Send a command. Raises Refused and RequestError; CancelledError once abandoned."""
        if self.abandoned:
            raise asyncio.CancelledError
        try:
            accepted = await self._submit(command, self._execution_id)
        except (Fenced, Unauthenticated, Forbidden) as error:
            self._lose(error)
        except InvalidTransition as error:
            if error.execution is not None and error.execution.state.final:
                self._lose(error)
            raise
        if accepted.repeated and not isinstance(command, CompleteExecution | FailExecution):
            # A repeat is still answered after the execution has ended.
            execution = accepted.execution
            if execution is not None and execution.state.final:
                self._lose(f"it is {execution.state}")
        return accepted

    def _lose(self, why: object) -> NoReturn:
        log.info("execution %s is abandoned: %s", self._execution_id, why)
        self.abandoned = True
        self._lost()
        raise asyncio.CancelledError
