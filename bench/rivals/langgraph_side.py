"""LangGraph as a contender: checkpoints in PostgreSQL, and nobody who waits.

A decision is a call that runs the graph on from its checkpoint, in whichever process gets it. What
that process had begun when it was killed is left as it is until somebody calls again.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Self

from bench.rivals.contender import Workspace
from bench.rivals.worker import Worker


class LangGraphSide:
    """No server: the worker is an application's process that takes the calls."""

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
        """Say where the database is."""
        yield cls(workspace)

    def arguments(self) -> Sequence[str]:
        """Tell the worker its database."""
        return [self._database]

    async def begin(self, lifecycle: str, worker: Worker) -> None:
        """Have the worker run the graph up to its interrupt."""
        worker.tell("start", lifecycle)

    async def decide(self, lifecycle: str, worker: Worker) -> None:
        """Have the worker run the graph on."""
        worker.tell("resume", lifecycle)

    async def unfinished(self) -> int:
        """Nothing is: a run is reported as done after its last checkpoint was committed."""
        return 0

    async def since_lease(self) -> float | None:
        """There are no leases."""
        return None
