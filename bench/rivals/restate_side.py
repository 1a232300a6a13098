"""Restate: its server, which has its own storage, and its HTTP ingress."""

import asyncio
import json
import os
import platform
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import aiohttp

from bench.rivals.contender import Workspace
from bench.rivals.worker import Worker

READY_WITHIN = 60.0
END_WITHIN = 20.0
MODULES = Path("node_modules")
PACKAGE = "@restatedev/restate-server"
UNFINISHED = """
    SELECT count(*) AS n FROM sys_invocation
    WHERE status <> 'completed' OR completion_result <> 'success'
"""
_MACHINES = {"x86_64": "x64", "aarch64": "arm64"}


class RestateSide:
    """The server calls the worker, and repeats the call until a worker answers at its address."""

    worker = "bench.rivals.restate_worker"
    stands_by = False

    def __init__(
        self,
        workspace: Workspace,
        server: int,
        ports: Sequence[int],
        session: aiohttp.ClientSession,
    ) -> None:
        self.server = [server]
        package = json.loads(
            (workspace.environment / MODULES / PACKAGE / "package.json").read_text()
        )
        self.versions = {"Restate": package["version"], "restate-sdk": version("restate-sdk")}
        self._workspace = workspace
        self._ingress, self._admin, self._worker = (f"http://127.0.0.1:{port}" for port in ports)
        self._session = session
        self._registered: asyncio.Task[None] | None = None

    @classmethod
    @asynccontextmanager
    async def open(cls, workspace: Workspace) -> AsyncIterator[Self]:
        """Start the server."""
        ingress, admin, nodes, worker = _free_ports(4)
        settings = {
            "RESTATE_BIND_IP": "127.0.0.1",
            "RESTATE_BIND_PORT": nodes,
            "RESTATE_INGRESS__BIND_PORT": ingress,
            "RESTATE_ADMIN__BIND_PORT": admin,
            "RESTATE_LISTEN_MODE": "tcp",
            "RESTATE_DISABLE_TELEMETRY": "true",
            "RESTATE_LOG_FILTER": "warn",
        }
        # One connection for each decision in flight.
        connector = aiohttp.TCPConnector(limit=100)
        async with aiohttp.ClientSession(connector=connector) as session:
            with _server(
                workspace, {name: str(value) for name, value in settings.items()}
            ) as server:
                yield cls(workspace, server, (ingress, admin, worker), session)

    def arguments(self) -> Sequence[str]:
        """Return the worker's port."""
        return [self._worker.rpartition(":")[2]]

    async def begin(self, lifecycle: str, worker: Worker) -> None:  # noqa: ARG002 - it is called
        """Send the call."""
        if self._registered is None:
            self._registered = asyncio.create_task(self._register())
        await self._registered
        await self._post(f"{self._ingress}/lifecycle/run/send", lifecycle)

    async def decide(self, lifecycle: str, worker: Worker) -> None:  # noqa: ARG002 - it is told
        """Resolve the awakeable that the worker reported."""
        awakeable = self._workspace.details.pop(lifecycle)
        await self._post(f"{self._ingress}/restate/awakeables/{awakeable}/resolve", "granted")

    async def unfinished(self) -> int:
        """Count the calls that are not completed."""
        found = await self._post(f"{self._admin}/query", {"query": UNFINISHED})
        return int(found["rows"][0]["n"])

    async def since_lease(self) -> float | None:
        """There are no leases."""
        return None

    async def _register(self) -> None:
        """Register the worker, as soon as server and worker answer."""
        async with asyncio.timeout(READY_WITHIN):
            while True:
                try:
                    await self._post(f"{self._admin}/deployments", {"uri": self._worker})
                except aiohttp.ClientError:
                    await asyncio.sleep(0.1)
                else:
                    return

    async def _post(self, url: str, body: Any) -> Any:
        accepts = {"accept": "application/json"}
        async with self._session.post(url, json=body, headers=accepts) as response:
            text = await response.text()
            if not response.ok:
                raise aiohttp.ClientError(f"{url} answered {response.status}: {text[:500]}")
        return json.loads(text) if text else None


@contextmanager
def _server(workspace: Workspace, settings: dict[str, str]) -> Iterator[int]:
    """Run the server, and yield its process id. It is the package's binary, without its wrapper."""
    system, machine = platform.system().lower(), platform.machine()
    package = f"{PACKAGE}-{system}-{_MACHINES.get(machine, machine)}"
    binary = workspace.environment / MODULES / package / "bin" / "restate-server"
    workspace.directory.mkdir(parents=True, exist_ok=True)
    with (
        (workspace.directory / "server.log").open("wb") as log,
        subprocess.Popen(
            [binary, "--no-logo", "--base-dir", workspace.directory / "data"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=os.environ | settings,
        ) as process,
    ):
        try:
            yield process.pid
        finally:
            process.terminate()
            try:
                process.wait(END_WITHIN)
            except subprocess.TimeoutExpired:
                process.kill()


def _free_ports(count: int) -> list[int]:
    """Return ports that were free a moment ago."""
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports
