"""How a workflow ended: the command that records it."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from placet._util.invoke import described
from placet._util.serde import plain
from placet.errors import PlacetError
from placet.models.commands import CompleteExecution, FailExecution

log = logging.getLogger("placet.engine")


def end_command(
    main: "asyncio.Task[Any]", execution_id: str, fence: int, *, cancelling: bool
) -> CompleteExecution | FailExecution:
    """Return the command that records how the task of a workflow ended.

    ``cancelling``: the workflow was told to clean up, so its cancellation is no failure.
    """
    error: BaseException | None
    try:
        cleaned_up = cancelling and main.cancelled()
        error = None if cleaned_up else main.exception()
        if cleaned_up:
            return CompleteExecution(execution_id=execution_id, fence=fence)
        if error is None:
            result = plain(main.result(), "the workflow's result")
            return CompleteExecution(execution_id=execution_id, fence=fence, result=result)
    except (Exception, asyncio.CancelledError) as raised:  # noqa: BLE001 - models raise anything
        error = raised
    # A traceback helps with a bug. It does not with a rejection.
    trace = None if isinstance(error, PlacetError) else error
    log.warning("execution %s failed: %s", execution_id, described(error), exc_info=trace)
    return FailExecution(execution_id=execution_id, fence=fence, error=described(error))


def warn_of_unread(execution_id: str, unread: Mapping[str, int]) -> None:
    """Log the signals that came and that the workflow did not read, counted by name."""
    if unread:
        log.warning(
            "execution %s has ended without reading %s",
            execution_id,
            ", ".join(f"{count} of the signal {name!r}" for name, count in unread.items()),
        )
