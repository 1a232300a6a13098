"""What a workflow instance needs from its runner."""

import asyncio
from collections.abc import Coroutine
from contextvars import Context
from typing import Any, Protocol

from placet.engine.engine_access import EngineAccess
from placet.models.commands import Command
from placet.models.responses import Execution
from placet.models.worker_responses import Noted

EventContent = tuple[str, dict[str, Any]]
"""The type and the data of the event that a command records."""


class Host(Protocol):
    """Does for a workflow instance what lies outside of the workflow's own event loop."""

    @property
    def execution(self) -> Execution:
        """The execution, as it was claimed."""

    @property
    def fence(self) -> int:
        """The fencing number of the claim."""

    @property
    def engine(self) -> EngineAccess:
        """What it shares with other executions."""

    @property
    def tasks(self) -> frozenset["asyncio.Task[None]"]:
        """What is under way outside of the workflow."""

    def spawn(
        self, work: Coroutine[Any, Any, None], context: Context | None = None
    ) -> "asyncio.Task[None]":
        """Do something outside of the workflow."""

    async def send(self, command: Command, content: EventContent | None = None) -> Noted:
        """Send a command of the run, and deliver the event that it records to the workflow."""

    def draining(self) -> bool:
        """Whether nothing more may be begun."""

    def lost(self) -> bool:
        """Whether the execution is no longer held, so that nothing can be recorded."""

    def idle(self) -> None:
        """Note that the workflow waits for events only."""

    def fault(self, error: BaseException) -> None:
        """Give the execution back after an error that is not the workflow's."""

    def park(self, reason: str) -> None:
        """Keep every worker from the execution until a person has looked at it."""

    def finish(self, command: Command) -> None:
        """Record how the workflow ended."""
