"""Runs PostgreSQL as an ordinary user if this process runs as root, which PostgreSQL refuses."""

import os
import pwd
import shutil
from pathlib import Path

from api.embedded_postgres.errors import PostgresError


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


def as_unprivileged(directory: Path) -> list[str]:
    """Return the prefix of a command that runs it as the owner of a directory; empty without root.

    That user may have no access to the directories above, or to those with the binaries, as below
    /root. So the command gets the capability to read past permissions.
    """
    if os.geteuid() != 0:
        return []
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
    """Return the smallest capability to read past permissions that this process can pass on."""
    status = Path("/proc/self/status").read_text()
    bounding = next(line for line in status.splitlines() if line.startswith("CapBnd:"))
    held = int(bounding.split()[1], 16)
    for name, bit in (("dac_read_search", 2), ("dac_override", 1)):
        if held >> bit & 1:
            return name
    return None
