"""DBOS: a library on PostgreSQL, and a client that sends the decision."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Self
from urllib.parse import quote

from dbos import DBOSClient
from psycopg.conninfo import conninfo_to_dict

from bench.rivals.contender import Workspace
from bench.rivals.worker import Worker

UNFINISHED = ["PENDING", "ENQUEUED", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]


class DbosSide:
    """There is no server. Lifecycles are started in the worker, as in an application's endpoint."""

    worker = "bench.rivals.dbos_worker"
    # A worker takes over the work of an earlier one of the same name when it is launched.
    stands_by = False
    server: Sequence[int] = ()

    def __init__(self, url: str) -> None:
        self.versions = {"DBOS": version("dbos")}
        self._url = url
        self._client: DBOSClient | None = None

    @classmethod
    @asynccontextmanager
    async def open(cls, workspace: Workspace) -> AsyncIterator[Self]:
        """Use the database. The first worker creates the tables."""
        side = cls(_url(workspace.database))
        try:
            yield side
        finally:
            if side._client is not None:
                side._client.destroy()

    def arguments(self) -> Sequence[str]:
        """Return the worker's database."""
        return [self._url]

    async def begin(self, lifecycle: str, worker: Worker) -> None:
        """Let the worker start a workflow."""
        worker.tell(lifecycle)

    async def decide(self, lifecycle: str, worker: Worker) -> None:  # noqa: ARG002 - it is notified
        """Send the message that the workflow waits for."""
        await self._connected().send_async(lifecycle, "granted", "decision")

    async def unfinished(self) -> int:
        """Count the workflows that have not succeeded."""
        found = await self._connected().list_workflows_async(
            status=UNFINISHED, load_input=False, load_output=False
        )
        return len(found)

    async def since_lease(self) -> float | None:
        """There are no leases."""
        return None

    def _connected(self) -> DBOSClient:
        # Only now, because the tables must exist.
        if self._client is None:
            self._client = DBOSClient(system_database_url=self._url, system_database_pool_size=20)
        return self._client


def _url(conninfo: str) -> str:
    """Convert a connection string to a URL for SQLAlchemy."""
    fields = conninfo_to_dict(conninfo)
    user, host, name = (quote(str(fields[key]), safe="") for key in ("user", "host", "dbname"))
    return f"postgresql://{user}@/{name}?host={host}&port={fields.get('port', 5432)}"
