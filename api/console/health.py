"""How this server is: what the page of operations shows beside what is in the database."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from projections.runtime.projector import ModelStatus


class Health(NamedTuple):
    """Functions that say how this process is.

    ``unready`` returns why it can't serve, None if it can. ``models`` returns the read models,
    ``queued`` how many commands wait, of at most ``queue_limit``. ``leads``: whether this process
    fires timers and writes read models.
    """

    unready: Callable[[], Awaitable[str | None]]
    models: Callable[[], list[ModelStatus]]
    queued: Callable[[], int]
    queue_limit: int
    leads: Callable[[], bool]
    mode: str
    version: str
