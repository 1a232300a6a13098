"""Starts and ends one PostgreSQL server as a child process, from the binaries of any version."""

import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import psutil

USER = "placet"
PORT = 5432
SOCKET = f".s.PGSQL.{PORT}"
START_TIMEOUT = 120.0
STOP_TIMEOUT = 30.0

# The longest path of a socket is 104 bytes on some systems and 108 on others.
LONGEST_SOCKET = 100

# From this version on, PostgreSQL has a UTF-8 locale of its own, the same on every system.
BUILTIN_LOCALE = 17


class PostgresError(Exception):
    """PostgreSQL did not start; the message carries what it said."""


class PostgresServer:
    """A server for the cluster in one directory, which it makes if there is none.

    It listens on a Unix socket that only this user can reach, and on no network. As root, which
    PostgreSQL refuses to be, it runs as the owner of the cluster: at first ``postgres`` or
    ``nobody``. The caller sees to it that one object at a time serves a directory: a server found
    there at the start is taken to be left over from a crash, and ended.
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
        """The process id of the postmaster; None if it does not run."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def url(self, database: str = "postgres") -> str:
        """Give the connection string of a database; it stays the same over restarts."""
        return socket_url(self._socket_directory(), database)

    def start(self) -> None:
        """Start the server and wait until it takes connections.

        Raises PostgresError if it can't be started.
        """
        if self.pid is not None:
            raise PostgresError(f"PostgreSQL in {self.directory} runs already, as {self.pid}")
        if not (self.directory / "PG_VERSION").exists():
            self._make_cluster()
        end_leftovers(self.directory)
        for name in (SOCKET, f"{SOCKET}.lock"):
            (self._socket_directory() / name).unlink(missing_ok=True)
        settings = {
            "listen_addresses": "",
            "port": str(PORT),
            "unix_socket_directories": str(self._socket_directory()),
            "unix_socket_permissions": "0700",
            "log_checkpoints": "off",
            **self._options,
        }
        command = [str(self.binaries / "postgres"), "-D", str(self.directory)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own arguments
                [*_as_unprivileged(self.directory), *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_environment(),
                # Ctrl-C in a terminal is for us, who end the server when we are done with it.
                start_new_session=True,
            )
        self._wait_until_ready(self._process)

    def stop(self) -> None:
        """End the server: open transactions are rolled back. Does nothing if it does not run."""
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
        """Kill the server as a crash would, without any chance to tidy up."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def wait(self) -> int:
        """Wait until the server ends, for whatever reason; give its exit status."""
        assert self._process is not None, "the server was never started"
        return self._process.wait()

    def _make_cluster(self) -> None:
        # A cluster whose making was cut short is never taken for one that was made.
        draft = self.directory.with_name(self.directory.name + ".new")
        if draft.exists():
            shutil.rmtree(draft)
        self.directory.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft.mkdir(mode=0o700)
        _give_away(draft)
        made = subprocess.run(  # noqa: S603 - our own arguments
            [
                *_as_unprivileged(draft),
                str(self.binaries / "initdb"),
                f"--pgdata={draft}",
                f"--username={USER}",
                "--auth=trust",
                "--encoding=UTF8",
                *self._locale(),
                "--no-instructions",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=_environment(),
            check=False,
        )
        if made.returncode != 0:
            said = made.stderr.decode(errors="replace").strip()
            raise PostgresError(f"initdb could not make a cluster in {draft}: {said}")
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

    def _socket_directory(self) -> Path:
        if self._sockets is None:
            if len(os.fsencode(self.directory / SOCKET)) <= LONGEST_SOCKET:
                self._sockets = self.directory
            else:
                self._sockets = Path(tempfile.mkdtemp(prefix="placet-"))
                _give_away(self._sockets)
        return self._sockets


class Postmaster:
    """What the file postmaster.pid of a cluster says about its server."""

    def __init__(self, pid: int, sockets: str, *, ready: bool) -> None:
        self.pid = pid
        self.sockets = Path(sockets)
        self.ready = ready

    @classmethod
    def read(cls, directory: Path) -> "Postmaster | None":
        """Read the file; None if there is none, or it is not written to its end."""
        try:
            lines = (directory / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return None
        if len(lines) < 8:  # noqa: PLR2004 - the eighth line is the status, written last
            return None
        return cls(int(lines[0]), lines[4].split(",")[0], ready=lines[7].strip() == "ready")


def socket_url(sockets: Path, database: str) -> str:
    """Give the connection string of a database behind the socket in a directory."""
    host = quote(str(sockets), safe="")
    return f"postgresql://{USER}@/{quote(database, safe='')}?host={host}&port={PORT}"


def end_leftovers(directory: Path) -> None:
    """End what still runs on a cluster after a crash, and remove the file that named it.

    PostgreSQL takes any process of this user that has the number in the file for a server, also one
    that ended and was not reaped, and then refuses to start. The working directory of a process
    tells for sure.
    """
    left = [process for process in psutil.process_iter() if _serves(process, directory)]
    postmaster = Postmaster.read(directory)
    _send(signal.SIGINT, [p for p in left if postmaster is not None and p.pid == postmaster.pid])
    # Without their postmaster the others end by themselves.
    left = _outlasting(left, directory)
    _send(signal.SIGKILL, left)
    left = _outlasting(left, directory)
    if left:
        raise PostgresError(
            f"processes {[process.pid for process in left]} of an earlier PostgreSQL in "
            f"{directory} don't end"
        )
    (directory / "postmaster.pid").unlink(missing_ok=True)


def _send(sign: signal.Signals, processes: Iterable[psutil.Process]) -> None:
    for process in processes:
        # One that is gone already is what is wanted.
        with suppress(psutil.NoSuchProcess):
            process.send_signal(sign)


def _outlasting(processes: list[psutil.Process], directory: Path) -> list[psutil.Process]:
    """Give those that still run after a while. One that nobody reaps does not run."""
    deadline = time.monotonic() + STOP_TIMEOUT
    while processes and time.monotonic() < deadline:
        time.sleep(0.02)
        processes = [process for process in processes if _serves(process, directory)]
    return processes


def _serves(process: psutil.Process, directory: Path) -> bool:
    try:
        return process.name() == "postgres" and Path(process.cwd()) == directory.resolve()
    except psutil.Error:
        # It ended meanwhile, or is another user's, so that it can't have this user's files open.
        return False


def _environment() -> dict[str, str]:
    """Our environment without what would change the server's settings or language."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PG", "LC_")) and name != "LANG"
    }
    return {**kept, "LC_ALL": "C"}


def _give_away(directory: Path) -> None:
    if os.geteuid() == 0:
        account = _account()
        os.chown(directory, account.pw_uid, account.pw_gid)


def _account() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise PostgresError(
        "PostgreSQL refuses to run as root, and there is no user 'postgres' or 'nobody' to run it "
        "as. Run this as an ordinary user."
    )


def _as_unprivileged(directory: Path) -> list[str]:
    """Give the words before a command that make it run as the owner of a directory.

    That user may be shut out of the directories above, or of those that hold the binaries, as it
    is below /root. It is given the right to read past them, rather than everybody.
    """
    if os.geteuid() != 0:
        return []
    owner = directory.stat()
    if owner.st_uid == 0:
        raise PostgresError(
            f"{directory} belongs to root, which PostgreSQL refuses to run as. "
            "Give it to an ordinary user, with all that is in it (chown -R)."
        )
    if shutil.which("setpriv") is None:
        raise PostgresError(
            "as root, PostgreSQL is started with the program setpriv, of the package util-linux. "
            "Install it, or run this as an ordinary user."
        )
    rights = _reading_rights()
    return [
        "setpriv",
        f"--reuid={owner.st_uid}",
        f"--regid={owner.st_gid}",
        "--clear-groups",
        *(f"--{kind}-caps=-all,+{rights}" for kind in ("inh", "ambient") if rights),
        "--",
    ]


def _reading_rights() -> str | None:
    """The least capability to read past permissions that this process may hand on, if any."""
    status = Path("/proc/self/status").read_text()
    bounding = next(line for line in status.splitlines() if line.startswith("CapBnd:"))
    held = int(bounding.split()[1], 16)
    for name, bit in (("dac_read_search", 2), ("dac_override", 1)):
        if held >> bit & 1:
            return name
    return None


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
