"""The tasks that are under way for one execution, outside of its workflow's own loop."""

import asyncio
from collections.abc import Callable, Collection, Coroutine
from contextvars import Context
from typing import Any


class RunTasks:
    """Starts tasks and keeps them. ``done`` is called with each that has ended."""

    def __init__(self, done: Callable[["asyncio.Task[None]"], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._done = done

    @property
    def running(self) -> frozenset["asyncio.Task[None]"]:
        """The tasks that have not ended."""
        return frozenset(self._tasks)

    def spawn(
        self, work: Coroutine[Any, Any, None], context: Context | None = None
    ) -> "asyncio.Task[None]":
        """Start a task."""
        task = self._loop.create_task(work, context=context)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def cancel(self, *, but: Collection["asyncio.Task[None]"] = ()) -> None:
        """Cancel all tasks but these and the current one."""
        for task in self._tasks - {asyncio.current_task(), *but}:
            task.cancel()

    async def others(self, also: Collection["asyncio.Task[None]"] = ()) -> None:
        """Wait until all other tasks have ended.

        Those that are being cancelled don't count, unless they are among ``also``.
        """
        current = asyncio.current_task()
        while others := {t for t in self._tasks - {current} if t in also or not t.cancelling()}:
            await asyncio.wait(others)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        self._done(task)
