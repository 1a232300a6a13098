"""Nobody else gets into the embedded database, and it gets at nobody else's files."""

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest

from api.embedded_postgres import unprivileged
from api.embedded_postgres.access import keep_others_out
from api.embedded_postgres.errors import EmbeddedError, PostgresError
from api.embedded_postgres.leftovers import Postmaster
from api.embedded_postgres.process import PostgresServer
from api.embedded_postgres.readable_binaries import readable_copy
from api.embedded_postgres.supervisor import EmbeddedPostgres, binaries, embedded_database
from tests.conftest import EMBEDDED, Servers

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs it as another user")

CONNECT = """
import os, socket, struct, sys
os.setgroups([]); os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[1]))
wire = socket.socket(socket.AF_UNIX)
wire.connect(sys.argv[3])
body = struct.pack("!i", 196608) + b"user\\0placet\\0database\\0postgres\\0\\0"
wire.sendall(struct.pack("!i", len(body) + 4) + body)
print(wire.recv(1000))
"""


@pytest.fixture
def data() -> Iterator[Path]:
    """A data directory that only root can enter, of a path that is short enough for a socket."""
    with TemporaryDirectory() as outer:
        yield Path(outer) / "data"


@pytest.fixture
def made(data: Path, postgres_servers: Servers) -> Path:
    """The data directory, with a cluster."""
    data.mkdir(mode=0o700)
    postgres_servers.copy_cluster(EMBEDDED, data / "postgres")
    return data


def connect_as(uid: int, gid: int, sockets: Path) -> str:
    """Say what becomes of it if this user opens the socket and connects without a password."""
    # Python itself may be where only root can read it, so it changes the user itself.
    command = [sys.executable, "-c", CONNECT, str(uid), str(gid), str(sockets / ".s.PGSQL.5432")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@as_root
@pytest.mark.parametrize("long", [False, True])
def test_the_user_that_runs_it_can_not_connect(made: Path, *, long: bool) -> None:
    if long:
        data = made.with_name("a" * 60) / ("b" * 60)
        data.parent.mkdir()
        made.rename(data)
        made = data
    with embedded_database(made) as url:
        owner = (made / "postgres").stat()
        host = psycopg.conninfo.conninfo_to_dict(url)["host"]
        assert isinstance(host, str)
        said = connect_as(owner.st_uid, owner.st_gid, Path(host))
        # The directory keeps it out; in a temporary one, which it may enter, PostgreSQL does.
        assert ("peer authentication failed" if long else "PermissionError").lower() in said.lower()
        if not long:
            made.chmod(0o755)
            for parent in made.parents:
                parent.chmod(parent.stat().st_mode | 0o011)
            said = connect_as(owner.st_uid, owner.st_gid, Path(host))
            assert "peer authentication failed" in said.lower()
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)


@as_root
def test_it_has_no_capability_and_can_gain_none(made: Path) -> None:
    with embedded_database(made) as url, psycopg.connect(url) as connection:
        backend = connection.info.backend_pid
        postmaster = Postmaster.read(made / "postgres")
        assert postmaster is not None
        for pid in (backend, postmaster.pid):
            status = Path(f"/proc/{pid}/status").read_text().splitlines()
            held = {
                line.split(":")[0]: line.split()[1]
                for line in status
                if ":" in line and line.split(":")[1].strip()
            }
            assert {
                int(held[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
            } == {0}
            assert held["NoNewPrivs"] == "1"
            assert int(held["Uid"]) != 0


@as_root
def test_it_can_not_read_what_only_root_may_read(made: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    secret.chmod(0o600)
    with (
        embedded_database(made) as url,
        psycopg.connect(url) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("SELECT pg_read_file(%s)", [str(secret)])


def test_a_cluster_that_trusted_everybody_does_not_any_more(made: Path) -> None:
    rules = made / "postgres" / "pg_hba.conf"
    rules.write_text("local all all trust\n")
    with embedded_database(made) as url, psycopg.connect(url) as connection:
        found = connection.execute("SELECT auth_method FROM pg_hba_file_rules").fetchall()
        assert found == [("peer",)]
        names = {
            row[0] for row in connection.execute("SELECT sys_name FROM pg_ident_file_mappings")
        }
        assert names == {pwd.getpwuid(os.geteuid()).pw_name, "root"}
    assert "trust" not in rules.read_text()


def test_another_role_is_not_let_in(made: Path) -> None:
    with embedded_database(made) as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE ROLE other LOGIN SUPERUSER")
        with pytest.raises(psycopg.OperationalError, match=r"no pg_hba\.conf entry"):
            psycopg.connect(url, user="other")


def test_a_data_directory_of_placet_is_closed_to_others(made: Path) -> None:
    made.chmod(0o755)
    (made / "dev-tokens.json").write_text("{}")
    with embedded_database(made):
        assert made.stat().st_mode & 0o777 == 0o700


def test_a_shared_directory_is_refused_and_left_as_it_is(data: Path) -> None:
    data.mkdir()
    data.chmod(0o755)
    (data / "letters").mkdir()
    for _ in range(2):
        with pytest.raises(EmbeddedError, match=r"also holds 'letters'; run `chmod 700 .*data`"):
            EmbeddedPostgres(data).start()
    assert data.stat().st_mode & 0o777 == 0o755
    data.chmod(0o700)
    keep_others_out(data)


@as_root
def test_a_directory_of_another_user_is_refused(data: Path) -> None:
    data.mkdir(mode=0o700)
    os.chown(data, pwd.getpwnam("nobody").pw_uid, 0)
    with pytest.raises(EmbeddedError, match="belongs to another user"):
        EmbeddedPostgres(data).start()


@pytest.fixture
def hidden() -> Iterator[Path]:
    """PostgreSQL where only root can read it; below /tmp, which every user can enter."""
    with TemporaryDirectory() as outer:
        package = binaries().parents[1]
        for part in (binaries().parent, package.with_name(f"{package.name}.libs")):
            relative = part.relative_to(package.parent)
            shutil.copytree(part, Path(outer) / relative, symlinks=True)
        yield Path(outer) / binaries().relative_to(package.parent)


@pytest.fixture
def copies(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with TemporaryDirectory() as outer:
        Path(outer).chmod(0o755)
        directory = Path(outer) / "placet"
        monkeypatch.setattr(unprivileged, "readable_copy", partial(readable_copy, copies=directory))
        yield directory


@as_root
def test_it_runs_from_a_copy_if_only_root_can_read_the_binaries(
    data: Path, hidden: Path, copies: Path
) -> None:
    data.mkdir()
    server = PostgresServer(hidden, data / "postgres")
    server.start()
    try:
        with psycopg.connect(server.url()) as connection:
            row = connection.execute("SHOW server_version").fetchone()
            assert row is not None
        (copy,) = copies.iterdir()
        assert Path(f"/proc/{server.pid}/exe").readlink().is_relative_to(copy)
        assert all(path.lstat().st_uid == 0 for path in copy.rglob("*"))
        assert not any(
            path.stat().st_mode & 0o022 for path in copy.rglob("*") if not path.is_symlink()
        )
    finally:
        server.stop()


@as_root
def test_many_processes_make_one_copy(hidden: Path, copies: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        made = set(pool.map(lambda _: readable_copy(hidden, copies), range(4)))
    (copy,) = copies.iterdir()
    assert all(path.is_relative_to(copy) for path in made)
    assert len(made) == 1
    (hidden / "postgres").write_bytes(b"another version")
    assert readable_copy(hidden, copies) not in made


@as_root
@pytest.mark.parametrize("copied", [False, True])
def test_a_copy_that_others_can_change_is_not_used(
    hidden: Path, copies: Path, *, copied: bool
) -> None:
    if copied:
        readable_copy(hidden, copies).parents[2].chmod(0o777)
    else:
        copies.mkdir()
        copies.chmod(0o777)
    with pytest.raises(PostgresError, match="can be changed by another user than root"):
        readable_copy(hidden, copies)


@as_root
def test_no_place_for_the_copy_is_reported(hidden: Path, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(PostgresError, match=r"can't be copied to .*; install Placet where every"):
        readable_copy(hidden, file / "placet")
