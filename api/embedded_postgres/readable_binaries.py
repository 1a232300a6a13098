"""Copies PostgreSQL to where every user can run it, if it is where only root can read.

A virtual environment below ``/root`` is such a place. A capability to read past permissions would
not help: initdb looks for the other programs with access(), which does not count capabilities.

In the wheel, the installation is a directory of the package, and the libraries that auditwheel
added are beside the package, in ``<package>.libs``. The programs look for them by that path.
"""

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from api.embedded_postgres.errors import PostgresError

COPIES = Path("/var/cache/placet")


def readable_copy(binaries: Path, copies: Path = COPIES) -> Path:
    """Return the programs of a copy of the installation, made if there is none.

    Only for root. The copy belongs to root, and nobody else can write to it. Its name is the digest
    of its content, so installations of the same PostgreSQL share it, and another one has its own.
    Raises PostgresError if there is no place for it.
    """
    installation = binaries.resolve().parent
    package = installation.parent
    parts = [installation, package.with_name(f"{package.name}.libs")]
    try:
        copies.mkdir(mode=0o755, parents=True, exist_ok=True)
        _check_owner(copies)
        copy = copies / f"postgresql-{_digest(package.parent, parts)}"
        if not copy.exists():
            _copy(package.parent, parts, copy)
        _check_owner(copy)
    except OSError as error:
        raise PostgresError(
            f"root runs PostgreSQL as another user, who can't read it in {installation}, and it "
            f"can't be copied to {copies}: {error}; install Placet where every user can read it, "
            "such as below /opt, or run this as an ordinary user"
        ) from error
    return copy / package.name / installation.name / binaries.name


def _check_owner(directory: Path) -> None:
    status = directory.lstat()
    if status.st_uid != 0 or status.st_mode & 0o022:
        raise PostgresError(
            f"{directory} can be changed by another user than root, so PostgreSQL is not started "
            "from there; remove it"
        )


def _digest(root: Path, parts: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for part in parts for path in part.rglob("*")):
        digest.update(f"{path.relative_to(root)}\0".encode())
        if path.is_symlink():
            digest.update(os.fsencode(path.readlink()))
        elif path.is_file():
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _copy(root: Path, parts: list[Path], copy: Path) -> None:
    # Made under another name, so that an incomplete copy is never used.
    draft = Path(tempfile.mkdtemp(prefix=f"{copy.name}.", dir=copy.parent))
    try:
        for part in parts:
            if part.exists():
                shutil.copytree(part, draft / part.relative_to(root), symlinks=True)
        for path in (draft, *draft.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        os.sync()
        try:
            draft.rename(copy)
        except OSError:
            # Another process was faster.
            if not copy.exists():
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
