"""Databases for tests. Servers start when first asked for and end with the test run.

Tests may run in several processes, each with servers of its own and whole files of tests.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from api.settings import PREFIX
from bench.stack import FAST_PATH, Stack
from tests.support.forked import placet_server, stack
from tests.support.memory import keep_files_in_memory
from tests.support.postgres import Postgres, embedded_binaries, system_binaries
from tests.support.prepared import Prepared

TESTS = Path(__file__).parent
EMBEDDED, SYSTEM = "embedded", "system"

keep_files_in_memory()

# Hypothesis is random for developers and repeatable in CI, so that a build fails for a reason. How
# long an example takes says more of the other processes than of the test. Settings that a module
# makes start from these, so they are loaded before any module of tests.
_untimed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("developer", _untimed)
settings.register_profile("ci", _untimed, derandomize=True, database=None)
settings.load_profile("ci" if os.environ.get("CI") else "developer")


class Servers:
    """The servers of one test run, by kind."""

    def __init__(self, paths: pytest.TempPathFactory, stack: ExitStack) -> None:
        self._paths = paths
        self._stack = stack
        self._running: dict[str, Postgres] = {}
        self._prepared: dict[str, Prepared] = {}
        self._clusters: dict[str, Path] = {}

    def get(self, kind: str) -> Postgres:
        """Return the shared server of a kind, for tests that leave it running."""
        if kind not in self._running:
            self._running[kind] = self.private(kind, self._stack)
        return self._running[kind]

    def prepared(self, kind: str) -> Prepared:
        """Return the databases with all tables of the shared server of a kind."""
        if kind not in self._prepared:
            self._prepared[kind] = Prepared(self.get(kind))
        return self._prepared[kind]

    def private(self, kind: str, stack: ExitStack) -> Postgres:
        """Start a server that ends with ``stack``."""
        directory = self._paths.mktemp(kind) / "postgres"
        self.copy_cluster(kind, directory)
        server = Postgres(_binaries(kind), directory)
        # Its log, which is beside it, stays.
        stack.callback(shutil.rmtree, directory)
        stack.callback(server.stop)
        server.start()
        return server

    def copy_cluster(self, kind: str, directory: Path) -> None:
        """Put a new cluster into a directory that is not there yet.

        It is a copy of one that initdb made, which takes ten times as long.
        """
        if kind not in self._clusters:
            made = self._paths.mktemp(f"{kind}-cluster") / "postgres"
            server = Postgres(_binaries(kind), made)
            server.start()
            server.stop()
            self._clusters[kind] = made
        # With its owner, who is not root.
        subprocess.run(["cp", "-a", self._clusters[kind], directory], check=True)


def _binaries(kind: str) -> Path:
    found = embedded_binaries() if kind == EMBEDDED else system_binaries()
    assert found is not None, "tests were asked of a server that is not here"
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "postgres_kind" in metafunc.fixturenames:
        kinds = [EMBEDDED]
        if metafunc.definition.get_closest_marker("both_servers") and system_binaries() is not None:
            kinds.append(SYSTEM)
        metafunc.parametrize("postgres_kind", kinds, scope="session")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, or the last of several processes would run alone."""
    longest = (TESTS, TESTS / "system")
    items.sort(key=lambda item: item.path.parent not in longest)
    # By its id a test is handed to a process: of two that share one, one would never run.
    assert len({item.nodeid for item in items}) == len(items), "two tests have the same id"


@pytest.fixture(scope="session", autouse=True)
def own_configuration() -> Iterator[None]:
    """Keep the caller's configuration, and with it their database, out of the tests.

    All of them can be run with ``PLACET_FAST_PATH=off``.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith((PREFIX, "PG", "POSTGRES_")) and name != FAST_PATH:
                patch.delenv(name)
        yield


@pytest.fixture(scope="session")
def postgres_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with ExitStack() as stack:
        yield Servers(tmp_path_factory, stack)


@pytest.fixture
def database_url(postgres_servers: Servers, postgres_kind: str) -> Iterator[str]:
    """A fresh, empty database. Marked ``both_servers``, a test runs on each kind of server."""
    server = postgres_servers.get(postgres_kind)
    url = server.create()
    yield url
    server.drop(url)


@pytest.fixture
def log_url(postgres_servers: Servers, postgres_kind: str) -> Iterator[str]:
    """A database with all tables, and nothing in them."""
    with postgres_servers.prepared(postgres_kind).database() as url:
        yield url


@pytest.fixture(scope="module")
def module_database_url(postgres_servers: Servers) -> Iterator[str]:
    """A database that the tests of one module share."""
    server = postgres_servers.get(EMBEDDED)
    url = server.create()
    yield url
    server.drop(url)


@pytest.fixture
def postgres(postgres_servers: Servers, postgres_kind: str) -> Iterator[Postgres]:
    """A server of the test's own, to be killed and started at will."""
    with ExitStack() as stack:
        yield postgres_servers.private(postgres_kind, stack)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A server on an embedded database, shared by all tests that only use its API."""
    with stack(tmp_path_factory.mktemp("server")) as running:
        yield running
        # Whatever the tests asked for, what was recorded of it is sound.
        placet_server("verify", f"--data={running.data}")
