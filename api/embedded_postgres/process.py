"""Runs one PostgreSQL server as a child process, from the binaries of any version."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from api.embedded_postgres.access import write_access_rules
from api.embedded_postgres.errors import PostgresError
from api.embedded_postgres.leftovers import STOP_TIMEOUT, Postmaster, end_leftovers
from api.embedded_postgres.unprivileged import as_unprivileged, give_away, reach

USER = "placet"
PORT = 5432
SOCKET = f".s.PGSQL.{PORT}"
START_TIMEOUT = 120.0

# The path of a Unix socket can have at most 104 bytes on some systems, 108 on others.
LONGEST_SOCKET = 100

# Since this version, PostgreSQL has its own UTF-8 locale, which is the same on every system.
BUILTIN_LOCALE = 17


class PostgresServer:
    """A server for the cluster in one directory. It creates the cluster if there is none.

    The server listens on a Unix socket, accepts only this user there, and has no network address.
    PostgreSQL refuses to run as root, so root runs it as the owner of the cluster, which is
    ``postgres`` or ``nobody`` when it is created. Only one object at a time may use a directory: a
    server that is found there at the start is considered left over from a crash, and is stopped.
    """

    def __init__(
        self, binaries: Path, directory: Path, *, options: Mapping[str, str] | None = None
    ) -> None:
        """``binaries`` holds initdb and postgres; ``options`` are settings of postgresql.conf."""
        self.binaries = binaries
        self.directory = directory.absolute()
        self.log = self.directory.with_name(self.directory.name + ".log")
        self._options = dict(options or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._sockets: Path | None = None

    @property
    def pid(self) -> int | None:
        """The process id of the postmaster, None if it is not running."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def url(self, database: str = "postgres") -> str:
        """Return the connection string of a database. It stays the same over restarts."""
        return socket_url(self._socket_directory(), database)

    def start(self) -> None:
        """Start the server and wait until it accepts connections.

        Raises PostgresError if it can't be started.
        """
        if self.pid is not None:
            raise PostgresError(
                f"PostgreSQL in {self.directory} is already running, as process {self.pid}"
            )
        if not (self.directory / "PG_VERSION").exists():
            self._make_cluster()
        end_leftovers(self.directory)
        write_access_rules(self.directory, USER)
        for name in (SOCKET, f"{SOCKET}.lock"):
            (self._socket_directory() / name).unlink(missing_ok=True)
        settings = {
            "listen_addresses": "",
            "port": str(PORT),
            "unix_socket_directories": self._socket_setting(),
            "unix_socket_permissions": "0700",
            "log_checkpoints": "off",
            **self._options,
        }
        options = [text for item in settings.items() for text in ("-c", "=".join(item))]
        with self.log.open("ab") as log, reach(self.directory) as reached:
            self._process = subprocess.Popen(  # noqa: S603 - our own arguments
                [
                    *as_unprivileged(self.directory, self.binaries, "postgres"),
                    "-D",
                    reached.path,
                    *options,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_environment(),
                pass_fds=reached.files,
                # Ctrl-C in a terminal must only reach this process, which stops the server.
                start_new_session=True,
            )
        self._wait_until_ready(self._process)

    def stop(self) -> None:
        """Stop the server. Open transactions are rolled back. Does nothing if it is not running."""
        process = self._process
        if process is not None:
            for sign in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
                process.send_signal(sign)
                try:
                    process.wait(STOP_TIMEOUT)
                    break
                except subprocess.TimeoutExpired:
                    continue
        if self._sockets is not None and self._sockets != self.directory:
            shutil.rmtree(self._sockets, ignore_errors=True)
            self._sockets = None

    def kill(self) -> None:
        """Kill the server as a crash would, without a clean shutdown."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def wait(self) -> int:
        """Wait until the server ends for any reason. Returns its exit status."""
        assert self._process is not None, "the server was never started"
        return self._process.wait()

    def _make_cluster(self) -> None:
        # Created under another name, so that an incomplete cluster is never used.
        draft = self.directory.with_name(self.directory.name + ".new")
        if draft.exists():
            shutil.rmtree(draft)
        self.directory.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft.mkdir(mode=0o700)
        give_away(draft)
        with reach(draft) as reached:
            made = subprocess.run(  # noqa: S603 - our own arguments
                [
                    *as_unprivileged(draft, self.binaries, "initdb"),
                    f"--pgdata={reached.path}",
                    f"--username={USER}",
                    "--auth=peer",
                    "--encoding=UTF8",
                    *self._locale(),
                    "--no-instructions",
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=_environment(),
                pass_fds=reached.files,
                check=False,
            )
        if made.returncode != 0:
            said = made.stderr.decode(errors="replace").strip()
            raise PostgresError(f"initdb could not create a cluster in {draft}: {said}")
        draft.rename(self.directory)
        _sync(self.directory.parent)

    def _locale(self) -> list[str]:
        version = subprocess.run(  # noqa: S603 - our own arguments
            [str(self.binaries / "initdb"), "--version"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        major = re.search(r"\d+", version)
        assert major is not None, version
        if int(major[0]) >= BUILTIN_LOCALE:
            return ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        return ["--locale=C.UTF-8"]

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            running = Postmaster.read(self.directory)
            if running is not None and running.pid == process.pid and running.ready:
                return
            if process.poll() is not None:
                break
            if time.monotonic() > deadline:
                self.stop()
                break
            time.sleep(0.02)
        tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-10:])
        raise PostgresError(
            f"PostgreSQL in {self.directory} did not start (exit status {process.returncode}). "
            f"The last lines of {self.log}:\n{tail}"
        )

    def _socket_setting(self) -> str:
        """Return the directory as PostgreSQL names it, which may not reach its own by a path."""
        sockets = self._socket_directory()
        return "." if sockets == self.directory else str(sockets)

    def _socket_directory(self) -> Path:
        if self._sockets is None:
            if len(os.fsencode(self.directory / SOCKET)) <= LONGEST_SOCKET:
                self._sockets = self.directory
            else:
                self._sockets = Path(tempfile.mkdtemp(prefix="placet-"))
                give_away(self._sockets)
        return self._sockets


def socket_url(sockets: Path, database: str) -> str:
    """Return the connection string of a database on the socket in a directory."""
    host = quote(str(sockets), safe="")
    return f"postgresql://{USER}@/{quote(database, safe='')}?host={host}&port={PORT}"


def _environment() -> dict[str, str]:
    """Return the environment without variables that change settings or language of the server."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PG", "LC_")) and name != "LANG"
    }
    return {**kept, "LC_ALL": "C"}


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
