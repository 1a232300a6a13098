"""Calls functions of users, and describes how they failed."""

import asyncio
import inspect
from collections.abc import Callable
from concurrent.futures import Executor
from contextvars import copy_context
from functools import partial
from typing import Any

from placet._util.texts import cleaned


async def call(fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Await an async function, and call any other in a thread, because it may block."""
    return await call_in(None, fn, *args, **kwargs)


async def call_in(
    threads: Executor | None, fn: Callable[..., Any], *args: Any, **kwargs: Any
) -> Any:
    """Await an async function, and call any other in one of these threads."""
    if inspect.iscoroutinefunction(fn):
        return await fn(*args, **kwargs)
    work = partial(copy_context().run, _outcome, partial(fn, *args, **kwargs))
    outcome = await asyncio.get_running_loop().run_in_executor(threads, work)
    if isinstance(outcome, _Raised):
        raise outcome.error
    return await outcome if inspect.isawaitable(outcome) else outcome


class _Raised:
    """What a function raised in a thread."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


def _outcome(work: Callable[[], Any]) -> Any:
    """Return the function's result, or what it raised.

    As an exception of the thread's future, a StopIteration would never arrive, and an interrupt or
    exit that the function raises itself would count as one of the process.
    """
    try:
        return work()
    except (StopIteration, KeyboardInterrupt) as error:
        converted = RuntimeError(f"the function raised {type(error).__name__}")
        converted.__cause__ = error
        return _Raised(converted)
    except BaseException as error:  # noqa: BLE001 - it is raised where it is awaited
        return _Raised(error)


def running_task() -> "asyncio.Task[Any] | None":
    """Return the task that runs, None outside of every event loop."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


def ends_task(error: BaseException, task: "asyncio.Task[Any] | None") -> bool:
    """Whether an exception was not raised by what a task runs, but ends the task itself.

    A CancelledError may be either, and is not counted.
    """
    if isinstance(error, GeneratorExit):
        # The coroutine of the task is being closed by another.
        return running_task() is not task
    return isinstance(error, KeyboardInterrupt)


def described(error: BaseException) -> str:
    """Return an error's type and message as a text that the service takes.

    The text for a group has those of all its errors.
    """
    text = type(error).__name__
    try:
        if message := str(error):
            text = f"{text}: {message}"
    except Exception as unreadable:  # noqa: BLE001 - an error without a readable message counts too
        text = f"{text}, whose message can't be read: {type(unreadable).__name__}"
    if isinstance(error, BaseExceptionGroup):
        text = f"{text}: {'; '.join(map(described, error.exceptions))}"
    # The name of a type can be anything, and the service takes no blank text.
    return cleaned(text if text.strip() else f"an error of type {type(error)!r}")


def message_of(error: BaseException) -> str:
    """Return an error's message."""
    try:
        return str(error)
    except Exception as unreadable:  # noqa: BLE001 - an error without a readable message counts too
        return f"its message can't be read: {type(unreadable).__name__}"
