"""Calling the functions of workflows, and saying how they failed."""

import asyncio
import inspect
from collections.abc import Callable
from concurrent.futures import Executor
from contextvars import copy_context
from functools import partial
from typing import Any

MAX_ERROR = 10_000


async def call(fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call an async function here, and any other in a thread, since it may block."""
    return await call_in(None, fn, *args, **kwargs)


async def call_in(
    threads: Executor | None, fn: Callable[..., Any], *args: Any, **kwargs: Any
) -> Any:
    """Call an async function here, and any other in one of these threads."""
    if inspect.iscoroutinefunction(fn):
        return await fn(*args, **kwargs)
    work = partial(copy_context().run, fn, *args, **kwargs)
    result = await asyncio.get_running_loop().run_in_executor(threads, work)
    return await result if inspect.isawaitable(result) else result


def described(error: BaseException) -> str:
    """Give an error's type and message as a text that the service takes.

    Of a group it is that of each of its errors too: what was wrong is said by these alone.
    """
    text = type(error).__name__
    try:
        if message := str(error):
            text = f"{text}: {message}"
    except Exception as unreadable:  # noqa: BLE001 - an error without a message has to be told too
        text = f"{text}, whose message can't be read: {type(unreadable).__name__}"
    if isinstance(error, BaseExceptionGroup):
        text = f"{text}: {'; '.join(map(described, error.exceptions))}"
    # A NUL or half of a surrogate pair would have the record itself refused.
    return text.encode(errors="replace").decode().replace("\x00", "\ufffd")[:MAX_ERROR]
