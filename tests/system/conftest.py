"""Servers on a separate PostgreSQL, which a test may kill or stop."""

import random
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from bench.stack import Stack
from tests.support.forked import stack
from tests.support.postgres import Postgres

Opened = Callable[..., Stack]


@pytest.fixture
def database(postgres: Postgres) -> str:
    """A fresh database on a private PostgreSQL."""
    return postgres.create()


@pytest.fixture
def open_server(tmp_path: Path, database: str) -> Iterator[Opened]:
    """Start servers on the private database; all share the development tokens."""
    with ExitStack() as opened:

        def start(port: int = 0) -> Stack:
            return opened.enter_context(stack(tmp_path, port=port, database_url=database))

        yield start


@pytest.fixture
def port() -> int:
    """A port that is free, and that no other program gets without asking for this very one."""
    while True:
        # The ports that systems give out themselves are higher.
        number = random.randint(20_000, 30_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", number))
            return number
