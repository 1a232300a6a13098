"""Who can connect to the embedded database and enter its data directory: only this user."""

import os
import pwd
import tempfile
from pathlib import Path

from api.embedded_postgres.errors import EmbeddedError, PostgresError

_PLACETS_OWN = {
    "dev-tokens.json",
    "lock",
    "lost+found",
    "postgres",
    "postgres.log",
    "postgres.new",
    "server.log",
}
"""What Placet and its demo put into a data directory, and a file system into its root."""


def write_access_rules(cluster: Path, role: str) -> None:
    """Let nobody connect but the user of this process, and root.

    PostgreSQL asks the kernel who is at the other end of the socket, so there is no password to
    keep. The files are written at each start, because older clusters trust everybody.
    """
    user = _quoted(_name(os.geteuid()))
    maps = "".join(f"placet {name} {role}\n" for name in dict.fromkeys((user, _quoted(_name(0)))))
    _write(cluster / "pg_ident.conf", maps)
    _write(cluster / "pg_hba.conf", f"local all {role} peer map=placet\n")


def keep_others_out(data: Path) -> None:
    """Make sure that only this user can enter the data directory.

    Raises EmbeddedError if it is another user's, or if it is shared and holds more than Placet's
    own files: its permissions may have a purpose then.
    """
    status = data.stat()
    if status.st_uid != os.geteuid():
        raise EmbeddedError(
            f"the data directory {data} belongs to another user, with the id {status.st_uid}; run "
            "this as that user, or choose another directory with --data or PLACET_DATA"
        )
    if not status.st_mode & 0o077:
        return
    others = sorted({entry.name for entry in data.iterdir()} - _PLACETS_OWN)
    if others:
        raise EmbeddedError(
            f"other users can enter the data directory {data}, which also holds {others[0]!r}; "
            f"run `chmod 700 {data}` if they need not, or choose another directory with --data or "
            "PLACET_DATA"
        )
    data.chmod(0o700)


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        msg = f"the user with the id {uid} has no name in /etc/passwd, which PostgreSQL needs"
        raise PostgresError(msg) from None


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _write(path: Path, text: str) -> None:
    """Replace a file of the cluster, for its owner."""
    owner = path.parent.stat()
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    with os.fdopen(handle, "w") as file:
        file.write(text)
        if os.geteuid() == 0:
            os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
    Path(draft).replace(path)
