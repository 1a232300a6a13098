"""Watches the thread of an event loop: names what blocks it, and ends it if it is a workflow.

Everything of an engine runs in one thread, also what keeps its lease. A workflow that blocks there
is interrupted by a signal, as the runtime of Go does with SIGURG, which nothing else uses and which
is ignored without a handler. Python handles signals in the main thread only. In any other thread,
and in a call that does not look for signals, a workflow can be named but not interrupted.
"""

import asyncio
import linecache
import logging
import signal
import sys
import sysconfig
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import Any

from placet.engine.event_loop import WorkflowLoop, running_in

log = logging.getLogger("placet.engine")

TICK_SECONDS = 0.2
NAME_SECONDS = 0.5
PARK_SECONDS = 1.0
STOPPED_SECONDS = 1.0
"""A tick that comes so late shows that the whole process was stopped."""

_SIGNAL: int | None = getattr(signal, "SIGURG", None)
_LIBRARIES = tuple(
    {"<frozen", *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib"))}
)
_PLACET = str(Path(__file__).parents[1])
_DEBUGGERS = ("bdb.py", "pydevd", "debugpy")
_OURS = ("placet.", "asyncio.")
_watched: dict[int, "_Watchdog"] = {}


class WorkflowBlockedError(BaseException):
    """Raised where a workflow blocks. Not an Exception, so that its code does not handle it."""


@contextmanager
def watched() -> Iterator[None]:
    """Watch the running event loop. All engines of a thread share one watchdog."""
    thread = threading.get_ident()
    watchdog = _watched.get(thread)
    if watchdog is None:
        watchdog = _watched[thread] = _Watchdog(asyncio.get_running_loop(), thread)
        watchdog.start()
    watchdog.users += 1
    try:
        yield
    finally:
        watchdog.users -= 1
        if not watchdog.users:
            del _watched[thread]
            watchdog.stop()


class _Watchdog:
    """Looks at one event loop from a thread of its own."""

    def __init__(self, loop: asyncio.AbstractEventLoop, thread: int) -> None:
        self.users = 0
        self._loop = loop
        self._thread = thread
        self._interrupts = (
            _SIGNAL is not None and threading.current_thread() is threading.main_thread()
        )
        self._before: Any = None
        self._stopping = threading.Event()
        self._looking = threading.Thread(target=self._look, name="placet-watchdog", daemon=True)
        # When the loop was last asked for a sign of life, None if it has answered since.
        self._asked_at: float | None = None
        self._named = False
        # The workflow that runs and its turn, and when that was first seen.
        self._seen: tuple[WorkflowLoop, int] | None = None
        self._seen_at = 0.0
        self._blocks: tuple[WorkflowLoop, int] | None = None

    def start(self) -> None:
        """Begin to look."""
        if self._interrupts:
            assert _SIGNAL is not None
            self._before = signal.signal(_SIGNAL, self._interrupt)
        self._looking.start()

    def stop(self) -> None:
        """Stop looking."""
        self._stopping.set()
        self._looking.join()
        if self._interrupts:
            assert _SIGNAL is not None
            signal.signal(_SIGNAL, self._before if self._before is not None else signal.SIG_DFL)

    def _look(self) -> None:
        last = monotonic()
        while not self._stopping.wait(TICK_SECONDS):
            now = monotonic()
            if now - last > TICK_SECONDS + STOPPED_SECONDS:
                # The loop could not run either, so it is not blocked by anything.
                self._asked_at = None if self._asked_at is None else now
                self._seen = None
            last = now
            try:
                self._look_at_workflow(now)
                self._look_at_loop(now)
            except RuntimeError as error:
                log.debug("the watchdog ends with the event loop: %s", error)
                return

    def _look_at_loop(self, now: float) -> None:
        if self._asked_at is None:
            self._named = False
            self._asked_at = now
            self._loop.call_soon_threadsafe(self._alive)
        elif now - self._asked_at >= NAME_SECONDS and not self._named:
            self._named = True
            stack = self._stack()
            if _in_debugger(stack):
                return
            workflow = running_in(self._thread)
            what = (
                "something, such as a call in an async step that is not awaited,"
                if workflow is None
                else f"the workflow of execution {workflow.name}"
            )
            log.warning(
                "%s blocks the event loop of the engine at %s; what waits or takes long belongs"
                " into a step that is a plain function, which gets a thread\n%s",
                what,
                _place(stack),
                "".join(traceback.format_list(stack)).rstrip(),
            )

    def _alive(self) -> None:
        asked_at, self._asked_at = self._asked_at, None
        if self._named and asked_at is not None:
            log.warning("the event loop stood still for %.1f s", monotonic() - asked_at)

    def _look_at_workflow(self, now: float) -> None:
        workflow = running_in(self._thread)
        seen = None if workflow is None else (workflow, workflow.turns)
        if seen is None or seen != self._seen:
            self._seen, self._seen_at = seen, now
            return
        if now - self._seen_at < PARK_SECONDS:
            return
        stack = self._stack()
        if _in_debugger(stack):
            self._seen = None
            return
        if seen[0].blocked is None:
            seen[0].blocked = _place(stack)
        if self._interrupts:
            assert _SIGNAL is not None
            self._blocks = seen
            signal.pthread_kill(self._thread, _SIGNAL)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        """Handle the signal, in the watched thread: raise if the workflow still blocks it."""
        blocks, self._blocks = self._blocks, None
        if blocks is None:
            if callable(self._before):
                self._before(number, frame)
            return
        workflow = running_in(self._thread)
        if workflow is None or (workflow, workflow.turns) != blocks:
            return
        # The engine's own code is not interrupted. The watchdog tries again.
        if frame is not None and not frame.f_globals.get("__name__", "").startswith(_OURS):
            msg = f"the workflow blocks the engine at {workflow.blocked}"
            raise WorkflowBlockedError(msg)

    def _stack(self) -> traceback.StackSummary:
        frame = sys._current_frames().get(self._thread)  # noqa: SLF001 - the documented way
        found = traceback.StackSummary.extract(traceback.walk_stack(frame), lookup_lines=False)
        found.reverse()
        return found


def _place(stack: traceback.StackSummary) -> str:
    """Name the line that blocks: the innermost that is not in a library, if there is one."""
    begins = max((i for i, each in enumerate(stack, 1) if _is_handle(each)), default=0)
    inside = [each for each in stack[begins:] if not each.filename.startswith(_PLACET)]
    own = [each for each in inside if not each.filename.startswith(_LIBRARIES)]
    if not inside:
        return "an unknown line"
    place = own[-1] if own else inside[0]
    text = linecache.getline(place.filename, place.lineno or 0).strip()
    return f"{place.filename}:{place.lineno}, in {place.name}: {text}"


def _is_handle(place: traceback.FrameSummary) -> bool:
    """Whether this is where asyncio calls what is ready."""
    return place.name == "_run" and place.filename == asyncio.events.__file__


def _in_debugger(stack: traceback.StackSummary) -> bool:
    return any(name in each.filename for each in stack for name in _DEBUGGERS)
