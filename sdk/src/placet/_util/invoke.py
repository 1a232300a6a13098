"""Calls functions of users, and describes how they failed."""

import asyncio
import inspect
from collections.abc import Callable
from concurrent.futures import Executor
from contextvars import copy_context
from functools import partial
from typing import Any

from placet.models.rules import MAX_TEXT


async def call(fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Await an async function, and call any other in a thread, because it may block."""
    return await call_in(None, fn, *args, **kwargs)


async def call_in(
    threads: Executor | None, fn: Callable[..., Any], *args: Any, **kwargs: Any
) -> Any:
    """Await an async function, and call any other in one of these threads."""
    if inspect.iscoroutinefunction(fn):
        return await fn(*args, **kwargs)
    work = partial(copy_context().run, fn, *args, **kwargs)
    result = await asyncio.get_running_loop().run_in_executor(threads, work)
    return await result if inspect.isawaitable(result) else result


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
    # The service would refuse a text with a NUL or a lone surrogate.
    return text.encode(errors="replace").decode().replace("\x00", "\ufffd")[:MAX_TEXT]
