"""``run``: what the code of a workflow can do with its execution."""

from collections.abc import Awaitable, Callable, Coroutine
from copy import deepcopy
from datetime import datetime, timedelta
from typing import Any, TypeVar, overload

from placet._util.serde import reader
from placet._util.validation import check_name
from placet.engine.pending import PendingTimer
from placet.engine.run_approvals import RunApprovals
from placet.engine.run_backend import RunBackend
from placet.engine.run_children import RunChildren
from placet.engine.run_info import RunInfo, RunLog, info
from placet.engine.run_steps import RunSteps
from placet.engine.step_options import attempt
from placet.models.responses import Execution

T = TypeVar("T")


class Run(RunSteps, RunApprovals, RunChildren):
    """Steps, approvals and waits of one execution.

    A workflow runs again from its start after a crash, and after it was put away while it waited.
    It then gets the results of everything that it awaits in the order of the record, so its code
    must do the same things again. Put whatever may differ from run to run, such as reading a clock
    or a file, into a step. A difference from the record parks the execution.
    """

    def __init__(self, backend: RunBackend, execution: Execution, fence: int) -> None:
        super().__init__(backend, execution, fence)
        # A copy, because a workflow that changes its input must find it unchanged in a replay.
        self._input = deepcopy(execution.input)
        self._log = RunLog(execution, lambda: backend.replaying)

    async def whole(self, workflow: Callable[["Run"], Awaitable[Any]]) -> Any:
        """Run the workflow, and wait for the children for which its end waits. For the engine."""
        try:
            result = await workflow(self)
        except Exception:
            await self._children_ended()
            raise
        await self._children_ended()
        return result

    @property
    def execution_id(self) -> str:
        """The id of the execution."""
        return self._execution.id

    @property
    def info(self) -> RunInfo:
        """The execution: who started it, its labels, and inside a step the attempt."""
        return info(self._execution, attempt.get(), replaying=self._backend.replaying)

    @property
    def log(self) -> RunLog:
        """A logger that is silent in a replay, so that each message comes once.

        The logger is ``placet.workflow``. What the workflow did since its last recorded event is
        done again, and logged again, when another engine claims it.
        """
        return self._log

    @property
    def input(self) -> Any:
        """The input that the execution was started with, as plain JSON."""
        return self._input

    def sleep(
        self, delay: timedelta | float, *, key: str | None = None
    ) -> Coroutine[Any, Any, None]:
        """Wait for a time, in seconds if it is a number. It may be months.

        The timer is recorded in the log: it survives every restart and fires by the clock of the
        service. In a workflow ``asyncio.sleep`` and ``asyncio.timeout`` are such timers too.
        ``key``: by default ``timer-n`` by order of call. Raises ValueError for a key that is not 1
        to 200 printable characters.
        """
        span = delay if isinstance(delay, timedelta) else timedelta(seconds=delay)
        return self._result_of(
            PendingTimer(key=self._backend.key(key, "timer"), delay=max(span, timedelta()))
        )

    def sleep_until(self, when: datetime, *, key: str | None = None) -> Coroutine[Any, Any, None]:
        """Wait until a moment. Raises ValueError for one without a time zone.

        ``key`` is as for :meth:`sleep`.
        """
        if when.tzinfo is None:
            msg = "sleep_until needs a time with a time zone: another machine may read it"
            raise ValueError(msg)
        return self._result_of(PendingTimer(key=self._backend.key(key, "timer"), until=when))

    @overload
    async def signal(self, name: str) -> Any: ...
    @overload
    async def signal(self, name: str, kind: type[T]) -> T: ...
    async def signal(self, name: str, kind: Any = None) -> Any:
        """Wait for the next signal of that name and return its payload, as ``kind`` if given.

        Each signal is returned once, in the order in which they came, also if it came before this
        call. Raises ValueError for a payload that is not of that kind, and for a name that is not
        1 to 200 printable characters.
        """
        self._check_inside("signal")
        check_name(name, "the name of the signal", "none could ever come; wait for another")
        return reader(kind)(await self._backend.signal(name))

    def patched(self, name: str) -> bool:
        """Return whether to run the changed code at this place.

        False if the execution passed this place before the change, so that it must do what it did
        then. Otherwise True, which is recorded, so that the answer stays. ``name`` is that of the
        change; all places that use one name get the answer of the first. Remove the call and the
        old code once no execution is left that got False. Raises ValueError for a name that is not
        1 to 192 printable characters.
        """
        self._check_inside("patched")
        return self._backend.patched(name)
