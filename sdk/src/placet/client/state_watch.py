"""The state of an execution, kept in the caller's process. Reading it takes no request."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from types import TracebackType
from typing import Self

from placet._util.time_limit import limited
from placet.client.changes import Changes, Mode, existing
from placet.client.queries import Queries
from placet.client.transport.retry import retried
from placet.models.enums import ExecutionState
from placet.models.responses import Execution, Move
from placet.models.transitions import FINAL, target


class StateWatch:
    """Folds the execution's events as they come, by the table of :mod:`placet.models.transitions`.

    It lags behind the service by the time that an event takes to arrive. After a lost connection it
    goes on by itself and misses no event. By push it sees every state that the execution passes
    through, by polling only those that it finds.
    """

    def __init__(
        self,
        queries: Queries,
        changes: Changes,
        execution_id: str,
        mode: Mode,
        poll: float | None,
    ) -> None:
        self._queries = queries
        self._changes = changes
        self._execution_id = execution_id
        self._mode: Mode = mode
        self._poll = poll
        self._state = ExecutionState.RUNNING
        self._version = 0
        self._failure: Exception | None = None
        self._waiting: dict[asyncio.Future[ExecutionState], frozenset[ExecutionState]] = {}
        self._following: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Read the execution once. Raises NotFound and RequestError."""
        self._take(await existing(self._queries, self._execution_id))
        self._following = asyncio.create_task(self._follow(), name="placet-watch")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._following is not None:
            self._following.cancel()
            with suppress(asyncio.CancelledError):
                await self._following

    @property
    def state(self) -> ExecutionState:
        """The state after the last event that came. Raises what ended the watch, if anything."""
        if self._failure is not None:
            raise self._failure
        return self._state

    @property
    def version(self) -> int:
        """The version after the last event. Raises what ended the watch, if anything."""
        if self._failure is not None:
            raise self._failure
        return self._version

    async def until(
        self,
        *states: ExecutionState,
        timeout: float | None = None,  # noqa: ASYNC109 - the callers' word for it
    ) -> ExecutionState:
        """Wait for one of the states, by default for a final one, and return it.

        The execution may have left the state when the caller goes on. Raises what ended the watch,
        and TimeoutError after ``timeout`` seconds.
        """
        wanted = frozenset(states) or FINAL
        if self.state in wanted:
            return self.state
        reached: asyncio.Future[ExecutionState] = asyncio.get_running_loop().create_future()
        self._waiting[reached] = wanted
        try:
            names = " or ".join(state for state in ExecutionState if state in wanted)
            what = f"execution {self._execution_id} to be {names}"
            async with limited(timeout, what, lambda: self._state):
                return await reached
        finally:
            del self._waiting[reached]

    async def _follow(self) -> None:
        try:
            async with aclosing(self._news()) as news:
                async for each in news:
                    await self._fold(each)
        except Exception as error:  # noqa: BLE001 - raised for those who read the state or wait
            self._fail(error)

    def _news(self) -> AsyncGenerator[Move | Execution, None]:
        return self._changes.after(
            self._execution_id, self._version, mode=self._mode, poll=self._poll
        )

    async def _fold(self, news: Move | Execution) -> None:
        if news.version <= self._version:
            return
        if isinstance(news, Move):
            state = target(self._state, news.type)
            if state is not None:
                self._move(state, news.version)
                return
            # The service is newer than this table. It knows the state.
            news = await retried(None, existing, self._queries, self._execution_id)
        self._take(news)

    def _take(self, execution: Execution) -> None:
        self._move(execution.state, execution.version)

    def _move(self, state: ExecutionState, version: int) -> None:
        self._state, self._version = state, version
        for reached, wanted in self._waiting.items():
            if state in wanted and not reached.done():
                reached.set_result(state)

    def _fail(self, error: Exception) -> None:
        self._failure = error
        for reached in self._waiting:
            if not reached.done():
                reached.set_exception(error)
