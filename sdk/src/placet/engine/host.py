"""Who plays a workflow: what it does for it outside of the workflow's loop."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import Executor
from datetime import datetime
from typing import Any, Protocol

from placet.models.commands import Command
from placet.models.responses import Execution, Noted

Told = tuple[str, dict[str, Any]]
"""The type and the data of the event that a command records."""


class Host(Protocol):
    """Who plays a workflow: does for it what lies outside of its loop."""

    @property
    def execution(self) -> Execution:
        """What is played, as it was claimed."""

    @property
    def fence(self) -> int:
        """The fencing number of the claim."""

    @property
    def threads(self) -> Executor | None:
        """Where steps that may block are done."""

    @property
    def tasks(self) -> frozenset["asyncio.Task[None]"]:
        """What is under way outside of the workflow."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Do something outside of the workflow."""

    async def send(
        self, command: Command, told: Told | None = None, cause: BaseException | None = None
    ) -> Noted:
        """Send a command of the run, and have the workflow told of the event that it records."""

    async def sleep(self, seconds: float) -> None:
        """Let time pass between two attempts."""

    def now(self) -> datetime:
        """Give the time, in UTC."""

    def draining(self) -> bool:
        """Whether nothing more may be begun."""

    def idle(self) -> None:
        """Take note that the workflow waits for nothing but the stream."""

    def fault(self, error: BaseException) -> None:
        """Give the execution back: what went wrong is no fault of the workflow's."""

    def park(self, reason: str) -> None:
        """Keep every worker from the execution until a person has looked."""

    def finish(self, command: Command) -> None:
        """Record how the workflow ended."""
