"""When and how often to try again: capped exponential back-off with full jitter."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from tenacity import AsyncRetrying, retry_if_exception, stop_before_delay, stop_never
from tenacity.wait import wait_random_exponential

from placet.errors import transient

T = TypeVar("T")

_SPREAD = wait_random_exponential(multiplier=0.05, max=5.0)


async def retried(seconds: float | None, fn: Callable[..., Awaitable[T]], *args: Any) -> T:
    """Call until it succeeds or fails for good, for about so many seconds; None: for ever.

    Raises what the last call raised.
    """
    failed: list[Exception] = []
    try:
        # As a rule it succeeds, and then what is to come would only cost time.
        return await fn(*args)
    except Exception as error:
        if not transient(error):
            raise
        failed.append(error)

    async def attempt() -> T:
        if failed:
            raise failed.pop()
        return await fn(*args)

    result: T = await AsyncRetrying(
        retry=retry_if_exception(transient),
        wait=_SPREAD,
        stop=stop_never if seconds is None else stop_before_delay(seconds),
        reraise=True,
    )(attempt)
    return result
