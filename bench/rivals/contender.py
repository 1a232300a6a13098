"""The interface of all libraries for the measuring process."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.rivals.worker import Worker


@dataclass(frozen=True)
class Workspace:
    """What a contender gets for one measurement.

    ``database``: the connection string of an empty database. ``directory``: for its files.
    ``environment``: the virtual environment of the rivals. ``waits``: call it with a lifecycle that
    waits for its decision, if the worker does not report that itself. ``details``: the fourth words
    of the workers' reports, by lifecycle.
    """

    database: str
    directory: Path
    environment: Path
    waits: Callable[[str], None]
    details: dict[str, str]


class Contender(Protocol):
    """A library, with its server running if it has one. Lifecycles are named by UUIDs.

    ``worker``: the module of the worker. ``stands_by``: whether a second worker can run at the same
    time without taking work of the first. ``server``: the process ids of its server.
    """

    worker: str
    stands_by: bool
    server: Sequence[int]
    versions: dict[str, str]

    def arguments(self) -> Sequence[str]:
        """Return the command-line arguments of a new worker."""

    async def begin(self, lifecycle: str, worker: Worker) -> None:
        """Start a lifecycle."""

    async def decide(self, lifecycle: str, worker: Worker) -> None:
        """Grant the approval of a waiting lifecycle."""

    async def unfinished(self) -> int:
        """Count the lifecycles that are not completed, according to the library."""

    async def since_lease(self) -> float | None:
        """Return the seconds since the lease of a dead worker ended, None without leases."""


Open = Callable[[Workspace], AbstractAsyncContextManager[Contender]]
