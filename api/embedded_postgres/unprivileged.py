"""Runs PostgreSQL as an ordinary user if this process runs as root, which PostgreSQL refuses.

That user may be one that other programs have too, such as ``nobody``. So nothing is given to it but
the directory of the cluster, and that in a way that needs no right to the directories above: the
server gets the directory as an open file, and its name is that of the file.
"""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from api.embedded_postgres.errors import PostgresError
from api.embedded_postgres.readable_binaries import readable_copy


class Reach(NamedTuple):
    """How PostgreSQL reaches a directory: by this path, with these files open."""

    path: str
    files: tuple[int, ...] = ()


@contextmanager
def reach(directory: Path) -> Iterator[Reach]:
    """Open a directory for a command of :func:`as_unprivileged`."""
    if os.geteuid() != 0:
        yield Reach(str(directory))
        return
    file = os.open(directory, os.O_PATH | os.O_DIRECTORY)
    try:
        yield Reach(f"/proc/self/fd/{file}", (file,))
    finally:
        os.close(file)


def give_away(directory: Path) -> None:
    """Make the unprivileged user the owner of a directory, if this process runs as root."""
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
        "PostgreSQL can't run as root, and there is no user 'postgres' or 'nobody' to run it as; "
        "run this as an ordinary user"
    )


def as_unprivileged(directory: Path, binaries: Path, program: str) -> list[str]:
    """Return the start of a command that runs a program of PostgreSQL as the owner of a directory.

    If this process is not root's, it is the program alone. Otherwise the command has no capability
    and can gain none. Raises PostgresError if it can't be run that way.
    """
    if os.geteuid() != 0:
        return [str(binaries / program)]
    owner = directory.stat()
    if owner.st_uid == 0:
        raise PostgresError(
            f"{directory} belongs to root, and PostgreSQL can't run as root; "
            "give it and its content to an ordinary user (chown -R)"
        )
    if shutil.which("setpriv") is None:
        raise PostgresError(
            "root needs the program setpriv to start PostgreSQL; install the package util-linux, "
            "or run this as an ordinary user"
        )
    prefix = [
        "setpriv",
        f"--reuid={owner.st_uid}",
        f"--regid={owner.st_gid}",
        "--clear-groups",
        "--inh-caps=-all",
        "--bounding-set=-all",
        "--no-new-privs",
        "--",
    ]
    if _refusal(prefix, binaries) is not None:
        binaries = readable_copy(binaries)
        refusal = _refusal(prefix, binaries)
        if refusal is not None:
            raise PostgresError(
                f"the user with the id {owner.st_uid}, as whom root runs PostgreSQL, can't run it "
                f"from {binaries}: {refusal}; run this as an ordinary user"
            )
    return [*prefix, str(binaries / program)]


def _refusal(prefix: list[str], binaries: Path) -> str | None:
    """Return why the user can't run the programs; None if it can."""
    # By a shell, because setpriv itself still has root's capabilities when it runs a program.
    command = [*prefix, "sh", "-c", 'exec "$0" --version', str(binaries / "postgres")]
    done = subprocess.run(  # noqa: S603 - our own arguments
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    return done.stderr.strip() if done.returncode != 0 else None
