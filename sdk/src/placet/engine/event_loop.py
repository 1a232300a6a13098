"""The event loop of one workflow: driven by events of the log, without a clock and without I/O.

Whatever a workflow awaits ends in a future of this loop. The engine resolves these futures one by
one in the order of the log, and runs everything that is ready after each. So a replay of the same
log takes the same path through the same code, even where several things are awaited at once. A loop
that waits holds no thread, no socket and no timer.
"""

import asyncio
import inspect
import logging
import sys
from asyncio import events
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextvars import Context
from threading import get_ident
from typing import Any, NoReturn, TypeVar, TypeVarTuple, Unpack

from placet.engine.async_generators import left_by_code

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

Later = Callable[[float], "asyncio.Future[None]"]

log = logging.getLogger("placet.engine")

MAX_AWAITS = 100
"""In the clean-up of one task that is dropped."""

_running: dict[int, "WorkflowLoop"] = {}


def running_in(thread: int) -> "WorkflowLoop | None":
    """Return the loop of the workflow whose code a thread runs at this moment."""
    return _running.get(thread)


class WorkflowTask(asyncio.Task[T]):
    """A task whose place in a set is the same in every replay of its workflow.

    :func:`asyncio.wait` and :class:`asyncio.TaskGroup` iterate over sets of tasks.
    """

    def __init__(self, number: int, coro: Coroutine[Any, Any, T], **rest: Any) -> None:
        # First, because creating a task puts it into sets.
        self._number = number
        super().__init__(coro, **rest)

    def __hash__(self) -> int:
        return self._number


class WorkflowLoop(asyncio.AbstractEventLoop):
    """Runs the callbacks that are ready, when :meth:`pump` is called.

    ``name`` is that of its execution, for messages. ``now``: the time of the last event delivered,
    in seconds since the epoch. ``later`` sets a durable timer for a delay in seconds, so that
    :func:`asyncio.sleep` and :func:`asyncio.timeout` work in a workflow. ``turns`` grows each time
    the code goes on after something that it waited for. ``blocked``: the line at which it held the
    thread up for too long, which ends the pump.
    """

    def __init__(self, later: Later, name: str = "") -> None:
        self.name = name
        self.now = 0.0
        self.turns = 0
        self.blocked: str | None = None
        self._later = later
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: dict[int, asyncio.Future[None]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._made = 0
        self._running = False

    def pump(self) -> None:
        """Run what is ready, and what becomes ready by it, until nothing is."""
        self._running = True
        try:
            self._within(self._run_ready)
        finally:
            self._running = False

    @property
    def alone(self) -> bool:
        """Whether nothing is ready to run besides the code that runs."""
        return not self._ready

    def _within(self, work: Callable[[], None]) -> None:
        """Do something while this is asyncio's running loop."""
        outer = events._get_running_loop()  # noqa: SLF001 - made for the authors of loops
        hooks = sys.get_asyncgen_hooks()
        thread = get_ident()
        self.turns += 1
        _running[thread] = self
        events._set_running_loop(self)  # noqa: SLF001
        sys.set_asyncgen_hooks(firstiter=None, finalizer=self._end_generator)
        try:
            work()
        finally:
            sys.set_asyncgen_hooks(*hooks)
            events._set_running_loop(outer)  # noqa: SLF001
            del _running[thread]

    def _end_generator(self, generator: AsyncGenerator[Any, Any]) -> None:
        """End a generator that nothing refers to any more."""
        if _running.get(get_ident()) is not self or not left_by_code():
            return
        closing: Any = generator.aclose()
        if self._running:
            self.create_task(closing)
        else:
            # The workflow is dropped.
            _close_generator(closing)

    def _run_ready(self) -> None:
        while self._ready and self.blocked is None:
            handle = self._ready.popleft()
            if not handle.cancelled():
                self._run(handle)

    def _run(self, handle: asyncio.Handle) -> None:
        try:
            handle._run()  # noqa: SLF001 - a loop runs its handles by this
        except SystemExit as error:
            # A workflow that exits must not end the process, which runs others too.
            log.warning("a workflow raised SystemExit: %r", error)
            for task in self._tasks:
                if task.done() and task._exception is error:  # noqa: SLF001
                    # Otherwise asyncio logs it once more when the task is garbage collected.
                    task.exception()

    def cancel(self) -> None:
        """Cancel every task that is not done, and let it end."""
        for task in tuple(self._tasks):
            task.cancel()
        self.pump()

    def drop(self) -> None:
        """Drop what is not done. Its code only notices that its frames are closed."""
        # Otherwise what a clean-up begins would run outside of the workflow.
        self._within(self._drop)

    def _drop(self) -> None:
        self._ready.clear()
        # The clean-up of one task may create another.
        while self._tasks:
            task = self._tasks.pop()
            task._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001
            coroutine = task.get_coro()
            if coroutine is not None:
                _close(coroutine)
        self._ready.clear()

    def call_soon(
        self,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.Handle:
        """Run a callback in its turn."""
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(
        self,
        delay: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Run a callback after so many seconds, by a durable timer."""
        return self.call_at(self.now + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Run a callback when the time has come to ``when``."""
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        if when <= self.now:
            self._ready.append(handle)
            return handle
        handle._scheduled = True  # type: ignore[attr-defined]  # noqa: SLF001 - cancels count
        fired = self._later(when - self.now)
        # Handles of the same time are equal, but not the same.
        self._timers[id(handle)] = fired
        fired.add_done_callback(lambda fired: self._fire(handle, fired))
        return handle

    def _fire(self, handle: asyncio.TimerHandle, fired: "asyncio.Future[None]") -> None:
        self._timers.pop(id(handle), None)
        if not (handle.cancelled() or fired.cancelled() or fired.exception()):
            self._ready.append(handle)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        fired = self._timers.pop(id(handle), None)
        if fired is not None:
            fired.cancel()

    def time(self) -> float:
        """Return the time of the last event delivered, in seconds since the epoch."""
        return self.now

    def create_future(self) -> asyncio.Future[Any]:
        """Return a new future of the workflow."""
        return asyncio.Future(loop=self)

    def create_task(
        self,
        coro: Coroutine[Any, Any, T],  # type: ignore[override]
        *,
        name: str | None = None,
        context: Context | None = None,
    ) -> asyncio.Task[T]:
        """Run a coroutine as a task of the workflow."""
        self._made += 1
        task = WorkflowTask(self._made, coro, loop=self, name=name, context=context)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def is_running(self) -> bool:
        """Whether it is being pumped."""
        return self._running

    def is_closed(self) -> bool:
        """Return False: it is dropped and never closed."""
        return False

    def get_debug(self) -> bool:
        """Return False."""
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Log an error that no awaiter gets."""
        log.error("in a workflow: %s", context.get("message"), exc_info=context.get("exception"))


def _close(coroutine: Any) -> None:
    """Close the frames of a coroutine, even if its clean-up awaits, as that of a TaskGroup does.

    Each await in a clean-up ends one attempt to close. The next attempt goes on after it.
    """
    for _ in range(MAX_AWAITS):
        # Its awaiter would not close a coroutine that awaits something itself.
        awaited = getattr(coroutine, "cr_await", None)
        if inspect.iscoroutine(awaited):
            _close(awaited)
        elif hasattr(awaited, "throw"):
            _exhaust(awaited)
        try:
            coroutine.close()
        except KeyboardInterrupt:
            raise
        except BaseException:
            if getattr(coroutine, "cr_frame", None) is None:
                log.warning("the clean-up of a workflow raised", exc_info=True)
                return
        else:
            return
    log.warning("the clean-up of a workflow does not end: %r", coroutine)


def _close_generator(closing: Any) -> None:
    """Close the frame of a generator. ``closing``: what its aclose() returned."""
    try:
        closing.send(None)
    except (StopIteration, StopAsyncIteration):
        return
    except KeyboardInterrupt:
        raise
    except BaseException:
        log.warning("the clean-up of a workflow raised", exc_info=True)
    else:
        _exhaust(closing)


def _exhaust(awaited: Any) -> None:
    """End what is awaited and is not a coroutine, such as a step of an async generator."""
    for _ in range(MAX_AWAITS):
        try:
            awaited.throw(GeneratorExit())
        except (GeneratorExit, StopIteration, StopAsyncIteration):
            return
        except KeyboardInterrupt:
            raise
        except BaseException:
            log.warning("the clean-up of a workflow raised", exc_info=True)
            return


class RefusedAttribute:
    """An attribute that other event loops have and the loop of a workflow refuses."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, loop: object, type_: object = None) -> Any:
        if loop is None:
            return self
        return self._refuse()

    def __set__(self, loop: object, value: object) -> None:
        self._refuse()

    def _refuse(self) -> NoReturn:
        msg = (
            f"a workflow can't use the event loop's {self._name}, directly or by a library: put"
            " whatever reaches outside, such as a connection, a thread or a subprocess, into a step"
            " (run.step), which is recorded and may do anything"
        )
        raise RuntimeError(msg)


for _name in dir(asyncio.AbstractEventLoop):
    if not _name.startswith("_") and _name not in vars(WorkflowLoop):
        setattr(WorkflowLoop, _name, RefusedAttribute(_name))
del _name
