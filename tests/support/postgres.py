"""PostgreSQL servers for tests, from the embedded wheel or installed on the system."""

import shutil
import subprocess
from functools import cache
from itertools import count
from pathlib import Path

import psutil
import psycopg
from psycopg.sql import SQL, Identifier

from api.embedded_postgres.process import PostgresServer
from api.embedded_postgres.supervisor import binaries

OLDEST = 15

# Tests kill processes, never the machine, so nothing is lost that was not flushed to the disk.
FAST = {"fsync": "off", "full_page_writes": "off", "max_connections": "200"}


class Postgres:
    """A server of the tests' own, with as many fresh databases as they ask for."""

    def __init__(
        self, binaries: Path, directory: Path, *, options: dict[str, str] | None = None
    ) -> None:
        self._server = PostgresServer(binaries, directory, options=options or FAST)
        self._numbers = count(1)

    @property
    def pid(self) -> int | None:
        return self._server.pid

    def url(self, database: str = "postgres") -> str:
        return self._server.url(database)

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        self._server.stop()

    def kill9(self) -> None:
        """Kill the server without warning; it stays down until ``start``."""
        assert self.pid is not None
        serving = psutil.Process(self.pid).children(recursive=True)
        self._server.kill()
        # They answer until they notice that the first process is gone.
        for each in psutil.wait_procs(serving, timeout=5)[1]:
            each.kill()

    def create(self) -> str:
        """Make a fresh, empty database and give its connection string."""
        name = f"test_{next(self._numbers)}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(
                SQL("CREATE DATABASE {} TEMPLATE template0").format(Identifier(name))
            )
        return self.url(name)

    def drop(self, url: str) -> None:
        """Drop a database that ``create`` made, also if sessions are still connected."""
        name = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
        assert isinstance(name, str)
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))


def embedded_binaries() -> Path:
    return binaries()


@cache
def system_binaries() -> Path | None:
    """Find the newest server of the system that Placet can use."""
    places = set(Path("/usr/lib/postgresql").glob("*/bin"))
    if (tool := shutil.which("pg_config")) is not None:
        said = subprocess.run([tool, "--bindir"], capture_output=True, text=True, check=True)
        places.add(Path(said.stdout.strip()))
    found = {_major(place): place for place in places if (place / "initdb").exists()}
    newest = max(found, default=0)
    return found[newest] if newest >= OLDEST else None


def _major(place: Path) -> int:
    said = subprocess.run([place / "postgres", "-V"], capture_output=True, text=True, check=True)
    digits = said.stdout.split()[2].split(".")[0]
    return int(digits) if digits.isdigit() else 0
