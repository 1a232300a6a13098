"""Finds and stops a PostgreSQL server that an earlier process left running."""

import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

from api.embedded_postgres.errors import PostgresError

STOP_TIMEOUT = 30.0


class Postmaster:
    """The content of postmaster.pid, in which PostgreSQL describes the server of a cluster."""

    def __init__(self, pid: int, sockets: Path, *, ready: bool) -> None:
        self.pid = pid
        self.sockets = sockets
        self.ready = ready

    @classmethod
    def read(cls, directory: Path) -> "Postmaster | None":
        """Read the file. Returns None if it is missing or incomplete."""
        try:
            lines = (directory / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return None
        if len(lines) < 8:  # noqa: PLR2004 - the eighth line is the status, written last
            return None
        sockets = directory / lines[4].split(",")[0]
        return cls(int(lines[0]), sockets, ready=lines[7].strip() == "ready")


def end_leftovers(directory: Path) -> None:
    """Stop the processes that a crash left running on a cluster, and remove postmaster.pid.

    PostgreSQL refuses to start if any process of this user has the number in that file, even a
    zombie. So the processes are recognised by their working directory. Raises PostgresError if some
    do not end.
    """
    left = [process for process in psutil.process_iter() if _serves(process, directory)]
    postmaster = Postmaster.read(directory)
    _send(signal.SIGINT, [p for p in left if postmaster is not None and p.pid == postmaster.pid])
    # The others end by themselves without their postmaster.
    left = _outlasting(left, directory)
    _send(signal.SIGKILL, left)
    left = _outlasting(left, directory)
    if left:
        raise PostgresError(
            f"processes {[process.pid for process in left]} of an earlier PostgreSQL in "
            f"{directory} do not end; stop them"
        )
    (directory / "postmaster.pid").unlink(missing_ok=True)


def _send(sign: signal.Signals, processes: Iterable[psutil.Process]) -> None:
    for process in processes:
        # It has ended already.
        with suppress(psutil.NoSuchProcess):
            process.send_signal(sign)


def _outlasting(processes: list[psutil.Process], directory: Path) -> list[psutil.Process]:
    """Return those that still run after STOP_TIMEOUT. Zombies do not count."""
    deadline = time.monotonic() + STOP_TIMEOUT
    while processes and time.monotonic() < deadline:
        time.sleep(0.02)
        processes = [process for process in processes if _serves(process, directory)]
    return processes


def _serves(process: psutil.Process, directory: Path) -> bool:
    try:
        return process.name() == "postgres" and Path(process.cwd()) == directory.resolve()
    except psutil.Error:
        # It has ended, or belongs to another user and can't have this cluster open.
        return False
