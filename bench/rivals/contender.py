"""What the measuring process has to know of a library: the one shape of all of them."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.rivals.worker import Worker


@dataclass(frozen=True)
class Workspace:
    """Where a contender does its work.

    ``database``: the connection string of an empty database. ``directory``: its own, for files.
    ``environment``: the virtual environment of the rivals. ``waits``: to be called with a lifecycle
    that waits for its decision, where the worker does not report that itself. ``told``: what a
    worker said beside its reports, by lifecycle.
    """

    database: str
    directory: Path
    environment: Path
    waits: Callable[[str], None]
    details: dict[str, str]


class Contender(Protocol):
    """A library with its server, if it has one, running. Lifecycles are named by UUIDs.

    ``worker``: the module that is a worker. ``stands_by``: whether a second worker can be at work
    while the first one is, and takes nothing of it. ``server``: the process ids of its server.
    """

    worker: str
    stands_by: bool
    server: Sequence[int]
    versions: dict[str, str]

    def arguments(self) -> Sequence[str]:
        """Return what a new worker is to be told on its command line."""

    async def begin(self, lifecycle: str, worker: Worker) -> None:
        """Start a lifecycle."""

    async def decide(self, lifecycle: str, worker: Worker) -> None:
        """Say yes to a lifecycle that waits."""

    async def unfinished(self) -> int:
        """Count the lifecycles that are not completed by the library's own books."""

    async def since_lease(self) -> float | None:
        """Return the seconds since the lease of a worker that is gone ran out; None: no leases."""


Open = Callable[[Workspace], AbstractAsyncContextManager[Contender]]
