"""An event loop on a thread of its own, for callers that have none or must not block theirs."""

import atexit
import os
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError, Future
from threading import Lock, Thread
from typing import Any, TypeVar

import anyio
from anyio.from_thread import BlockingPortal

T = TypeVar("T")


class Portal:
    """Runs coroutines for callers in any thread, which are blocked meanwhile.

    The loop starts with the first call and ends with :meth:`close` or with the process. It does not
    survive a fork: calls in the child raise RuntimeError, unless there was none before. ``close``
    is run on the loop as its last task.
    """

    # anyio's start_blocking_portal registers a finalizer that waits for the thread. A forked child
    # has no such thread and would wait for ever.

    def __init__(self, close: Callable[[], Awaitable[None]]) -> None:
        self._close = close
        self._lock = Lock()
        self._portal: BlockingPortal | None = None
        self._thread: Thread | None = None
        self._process = os.getpid()
        self._calls: set[Future[Any]] = set()
        self.closed = False

    def run(self, function: Callable[[], Awaitable[T]]) -> T:
        """Await the coroutine of the function on the loop. Raises what it raises.

        An interrupt (Ctrl-C) cancels it. Raises RuntimeError if the portal is closed, before or
        meanwhile, or was started in another process.
        """
        future = self._begin(function)
        try:
            return future.result()
        except CancelledError as error:
            raise RuntimeError("the client was closed while a call was under way") from error
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """Cancel the calls under way, and end the loop and its thread."""
        if self._foreign:
            self.closed = True
            return
        with self._lock:
            ending, self.closed = not self.closed, True
        if not ending or self._portal is None or self._thread is None:
            return
        atexit.unregister(self.close)
        for call in tuple(self._calls):
            call.cancel()
        self._portal.call(self._portal.stop)
        self._thread.join()

    @property
    def _foreign(self) -> bool:
        return self._portal is not None and self._process != os.getpid()

    def _begin(self, function: Callable[[], Awaitable[T]]) -> Future[T]:
        if self._foreign:
            raise RuntimeError(
                "this client was used before the process was forked, and its connections are the"
                " parent's: make a client in each process"
            )
        with self._lock:
            if self.closed:
                raise RuntimeError("this client is closed")
            if self._portal is None:
                self._portal = self._start()
            future = self._portal.start_task_soon(function)
            self._calls.add(future)
        future.add_done_callback(self._calls.discard)
        return future

    def _start(self) -> BlockingPortal:
        ready: Future[BlockingPortal] = Future()

        async def serve() -> None:
            async with BlockingPortal() as portal:
                ready.set_result(portal)
                await portal.sleep_until_stopped()
            await self._close()

        def run() -> None:
            try:
                anyio.run(serve)
            except BaseException as error:
                if ready.done():
                    raise
                ready.set_exception(error)

        self._process = os.getpid()
        self._thread = Thread(target=run, name="placet", daemon=True)
        self._thread.start()
        portal = ready.result()
        # Otherwise the loop would be cut off when the interpreter shuts down.
        atexit.register(self.close)
        return portal
