"""When and how often to try again: capped exponential back-off with full jitter."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_before_delay,
    stop_never,
)
from tenacity.wait import wait_random_exponential

from placet.errors import transient

T = TypeVar("T")

log = logging.getLogger("placet")

PAUSE_SECONDS = 5.0


async def retried(
    seconds: float | None,
    fn: Callable[..., Awaitable[T]],
    *args: Any,
    pause: float = PAUSE_SECONDS,
) -> T:
    """Call until it succeeds or fails for good, for about so many seconds; None: no limit.

    ``pause``: the longest between two calls, in seconds. Raises what the last call raised.
    """
    # The first call is made without tenacity, which takes as long as the rest of the client.
    failures: list[Exception] = []
    try:
        return await fn(*args)
    except Exception as error:
        if not transient(error):
            raise
        failures.append(error)

    async def attempt() -> T:
        if failures:
            raise failures.pop()
        return await fn(*args)

    result: T = await AsyncRetrying(
        retry=retry_if_exception(transient),
        wait=wait_random_exponential(multiplier=0.05, max=pause),
        stop=stop_never if seconds is None else stop_before_delay(seconds),
        # With a limit the caller gets the error at the end. Without one, log it meanwhile.
        before_sleep=_tell if seconds is None else None,
        reraise=True,
    )(attempt)
    return result


def _tell(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome is not None else None
    log.warning("trying again in %.1f s: %s", state.upcoming_sleep, error)
