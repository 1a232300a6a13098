import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from api.embedded_postgres import supervisor
from api.embedded_postgres.errors import EmbeddedError, InUseError, PostgresError
from api.embedded_postgres.leftovers import Postmaster
from api.embedded_postgres.supervisor import EmbeddedPostgres, embedded_database
from tests.conftest import EMBEDDED, Servers
from tests.support.patience import HANGS
from tests.support.postgres import Postgres

RUN_UNTIL_KILLED = """
import signal, sys
from pathlib import Path
from api.embedded_postgres.supervisor import EmbeddedPostgres
database = EmbeddedPostgres(Path(sys.argv[1]))
print(database.start(), database.pid, flush=True)
signal.pause()
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def made(data: Path, postgres_servers: Servers) -> Path:
    """The data directory, with a cluster."""
    data.mkdir(mode=0o700)
    postgres_servers.copy_cluster(EMBEDDED, data / "postgres")
    return data


@pytest.fixture
def owner(made: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that runs the database of the data directory."""
    command = [sys.executable, "-c", RUN_UNTIL_KILLED, str(made)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def test_it_is_a_durable_postgresql_that_ends_with_its_user(data: Path) -> None:
    with embedded_database(data) as url, psycopg.connect(url) as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            assert value(connection, f"SHOW {setting}") == "on"
        assert value(connection, "SHOW listen_addresses") == ""
        assert value(connection, "SELECT lower('ÉCOLE')") == "école"
        pid = Postmaster.read(data / "postgres")
    assert pid is not None
    assert not psutil.pid_exists(pid.pid)
    assert not (data / "postgres" / "postmaster.pid").exists()


def test_what_was_committed_is_there_after_a_restart(data: Path) -> None:
    with embedded_database(data) as url:
        remember(url)
    with embedded_database(data) as url:
        assert remembered(url)


def test_another_process_is_refused_but_may_share(made: Path) -> None:
    with embedded_database(made) as url:
        with pytest.raises(InUseError, match=f"in use by process {os.getpid()}"):
            EmbeddedPostgres(made).start()
        with embedded_database(made, share=True) as shared:
            assert shared == url
        with psycopg.connect(url) as connection:
            assert value(connection, "SELECT 1") == 1


def test_sharing_starts_the_database_if_no_process_runs_it(made: Path) -> None:
    with embedded_database(made, share=True) as url:
        remember(url)
    assert not (made / "postgres" / "postmaster.pid").exists()


def test_a_server_that_outlived_its_process_is_replaced(
    made: Path, owner: subprocess.Popen[str]
) -> None:
    assert owner.stdout is not None
    url, pid = owner.stdout.readline().split()
    remember(url)
    owner.kill()
    owner.wait()
    assert psutil.pid_exists(int(pid))
    with embedded_database(made) as url:
        assert not alive(int(pid))
        assert remembered(url)


def test_server_and_database_start_again_after_both_were_killed(
    made: Path, owner: subprocess.Popen[str]
) -> None:
    assert owner.stdout is not None
    url, pid = owner.stdout.readline().split()
    remember(url)
    owner.send_signal(signal.SIGSTOP)
    os.kill(int(pid), signal.SIGKILL)
    owner.kill()
    owner.wait()
    assert (made / "postgres" / "postmaster.pid").exists()
    with embedded_database(made) as url:
        assert remembered(url)


def test_a_process_that_reuses_a_stale_pid_is_not_killed(made: Path) -> None:
    with embedded_database(made) as url:
        remember(url)
        stale = (made / "postgres" / "postmaster.pid").read_text().split("\n", 1)
    with subprocess.Popen(["sleep", str(HANGS)]) as bystander:
        (made / "postgres" / "postmaster.pid").write_text(f"{bystander.pid}\n{stale[1]}")
        with embedded_database(made) as url:
            assert remembered(url)
        assert bystander.poll() is None
        bystander.kill()


def test_it_is_started_again_when_it_dies(made: Path) -> None:
    database = EmbeddedPostgres(made)
    url = database.start()
    try:
        remember(url)
        killed = database.pid
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        eventually(lambda: database.pid not in (None, killed) and ready(url))
        assert remembered(url)
    finally:
        database.stop()
    assert database.pid is None


def test_an_incomplete_cluster_is_made_again(data: Path) -> None:
    draft = data / "postgres.new"
    draft.mkdir(parents=True)
    (draft / "PG_VERSION").write_text("18\n")
    with embedded_database(data) as url:
        remember(url)
    assert not draft.exists()


def test_a_long_path_does_not_matter(tmp_path: Path) -> None:
    data = tmp_path / ("a" * 60) / ("b" * 60)
    with embedded_database(data) as url:
        remember(url)
        sockets = psycopg.conninfo.conninfo_to_dict(url)["host"]
        assert isinstance(sockets, str)
        assert Path(sockets).stat().st_mode & 0o077 == 0
    assert not Path(sockets).exists()


def test_a_relative_path_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with embedded_database(Path(".placet")) as url:
        remember(url)
    assert (tmp_path / ".placet" / "postgres" / "PG_VERSION").exists()


def test_a_damaged_cluster_is_an_error_with_postgresql_s_message(made: Path) -> None:
    with embedded_database(made):
        pass
    shutil.rmtree(made / "postgres" / "global")
    with pytest.raises(EmbeddedError, match=r"(?s)can't be started.*global/pg_control") as caught:
        EmbeddedPostgres(made).start()
    assert isinstance(caught.value.__cause__, PostgresError)
    with pytest.raises(EmbeddedError, match="can't be started"):
        EmbeddedPostgres(made).start()


def test_a_data_directory_that_is_a_file_is_an_error(data: Path) -> None:
    data.write_text("")
    with pytest.raises(EmbeddedError, match="can't be used"):
        EmbeddedPostgres(data).start()


def test_without_the_wheel_it_says_how_to_get_it(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "PACKAGE", "no_such_wheel")
    with pytest.raises(EmbeddedError, match=r"placet-server\[embedded\].*PLACET_DATABASE_URL"):
        EmbeddedPostgres(data)


@pytest.mark.both_servers
def test_a_server_of_the_tests_is_killed_and_started_at_will(postgres: Postgres) -> None:
    url = postgres.create()
    remember(url)
    postgres.kill9()
    assert postgres.pid is None
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)
    postgres.start()
    assert remembered(url)


@pytest.mark.both_servers
def test_every_test_has_an_empty_database(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        assert value(connection, "SELECT lower('ÉCOLE')") == "école"
        assert value(connection, "SELECT count(*) FROM pg_stat_user_tables") == 0


def value(connection: psycopg.Connection, statement: str) -> object:
    row = connection.execute(statement.encode()).fetchone()
    assert row is not None
    return row[0]


def remember(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE remembered AS SELECT 42 AS number")


def remembered(url: str) -> bool:
    with psycopg.connect(url) as connection:
        return value(connection, "SELECT number FROM remembered") == 42


def ready(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + HANGS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
