"""LangGraph: checkpoints in PostgreSQL, and no process that waits.

A decision is a call that continues the graph from its checkpoint, in the process that gets the
call. If the process is killed, its work stays as it is until there is another call.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Self

from bench.rivals.contender import Workspace
from bench.rivals.worker import Worker


class LangGraphSide:
    """There is no server. The worker is an application's process that gets the calls."""

    worker = "bench.rivals.langgraph_worker"
    stands_by = True
    server: Sequence[int] = ()

    def __init__(self, workspace: Workspace) -> None:
        names = ("langgraph", "langgraph-checkpoint-postgres")
        self.versions = {"LangGraph": version("langgraph"), names[1]: version(names[1])}
        self._database = workspace.database

    @classmethod
    @asynccontextmanager
    async def open(cls, workspace: Workspace) -> AsyncIterator[Self]:
        """Use the database."""
        yield cls(workspace)

    def arguments(self) -> Sequence[str]:
        """Return the worker's database."""
        return [self._database]

    async def begin(self, lifecycle: str, worker: Worker) -> None:
        """Let the worker run the graph up to its interrupt."""
        worker.tell("start", lifecycle)

    async def decide(self, lifecycle: str, worker: Worker) -> None:
        """Let the worker continue the graph."""
        worker.tell("resume", lifecycle)

    async def unfinished(self) -> int:
        """None, because a run is reported as done after its last checkpoint was committed."""
        return 0

    async def since_lease(self) -> float | None:
        """There are no leases."""
        return None
