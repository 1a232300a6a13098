"""Reading the bodies of stored rows, of which one may be damaged."""

from collections.abc import Callable, Iterable
from typing import TypeVar

import structlog

from domain.refusals import DamagedEventError

T = TypeVar("T")

_log = structlog.get_logger(__name__)


def readable(model: str, bodies: Iterable[bytes], read: Callable[[bytes], T]) -> list[T]:
    """Read the rows of a page, without those that are damaged.

    A damaged row would otherwise fail every page that it is on. It is logged. If no row can be
    read, there is nothing to continue after: then DamagedEventError is raised.
    """
    rows: list[T] = []
    damaged: DamagedEventError | None = None
    for body in bodies:
        try:
            rows.append(read(body))
        except DamagedEventError as error:
            _log.error(
                "read_model_row_damaged",
                model=model,
                error=str(error),
                do="placet-server verify, then placet-server rebuild",
            )
            damaged = error
    if damaged is not None and not rows:
        raise damaged
    return rows
