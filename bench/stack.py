"""Starts a server for benchmarks, tests and the demo: ``placet-server up`` in another process."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

FAST_PATH = "PLACET_FAST_PATH"
"""The only setting of the caller that the server gets."""

READY_WITHIN = 60
END_WITHIN = 20


class StackError(Exception):
    """The server can't be started. The message has what it printed."""


class Process(Protocol):
    """A server's process, with the members of ``subprocess.Popen`` that are used."""

    pid: int
    stdout: IO[str] | None

    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, sig: int) -> None: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...


Start = Callable[[Sequence[str], IO[Any], dict[str, str]], AbstractContextManager[Process]]
"""Starts ``placet-server`` with these arguments, file for its errors, and environment."""


class Administer(Protocol):
    """Runs a command of ``placet-server`` and returns what it prints. Raises StackError."""

    def __call__(self, *arguments: str, database_url: str | None = None) -> str: ...


class Stack:
    """A running server with its URL. ``tokens`` are the development tokens."""

    def __init__(
        self,
        process: Process,
        url: str,
        data: Path,
        database_url: str | None,
        administer: Administer,
    ) -> None:
        self.process = process
        self._database_url = database_url
        self._placet_server = administer
        self.url = url
        self.data = data
        self.tokens: dict[str, str] = json.loads((data / "dev-tokens.json").read_text())

    def kill9(self) -> None:
        """Kill the server with SIGKILL."""
        self.process.kill()
        self.process.wait()

    def create_token(
        self, name: str, role: str, groups: Sequence[str] = (), owner: str | None = None
    ) -> str:
        """Create an API key, by default with an owner of the same name, and return its token."""
        options = [f"--group={group}" for group in groups]
        options += [] if owner is None else [f"--owner={owner}"]
        return self._administer(
            "token", "create", f"--data={self.data}", f"--name={name}", f"--role={role}", *options
        ).strip()

    def revoke_token(self, name: str) -> None:
        """Revoke the API key with this name."""
        self._administer("token", "revoke", name, f"--data={self.data}")

    def _administer(self, *arguments: str) -> str:
        return self._placet_server(*arguments, database_url=self._database_url)


def placet_server(*arguments: str, database_url: str | None = None) -> str:
    """Run a command of ``placet-server`` and return what it prints. Raises StackError."""
    done = subprocess.run(
        [sys.executable, "-m", "api.cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment(database_url),
    )
    return printed(done)


def printed(done: subprocess.CompletedProcess[str]) -> str:
    """Return what a command has printed. Raises StackError if it has failed."""
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip()
        raise StackError(said or f"placet-server ended with {done.returncode}")
    return done.stdout


def spawn(arguments: Sequence[str], errors: IO[Any], env: dict[str, str]) -> subprocess.Popen[str]:
    """Start ``placet-server`` as a new process."""
    return subprocess.Popen(
        [sys.executable, "-m", "api.cli", *arguments],
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        # So that Ctrl-C reaches this process alone, which then ends the server in order.
        start_new_session=True,
        env=env,
    )


@contextmanager
def stack(
    data: Path,
    *,
    port: int = 0,
    database_url: str | None = None,
    start: Start = spawn,
    administer: Administer = placet_server,
    **settings: object,
) -> Iterator[Stack]:
    """Start a server in development mode, and end it after the block.

    ``port`` 0 takes a free port. Without ``database_url`` the server has an embedded database in
    ``data``. ``settings`` are other settings, such as ``max_connections=100``. Its log is in
    ``data/server.log``. ``start`` starts the process, and ``administer`` runs other commands.
    Raises StackError if it does not become ready.
    """
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    log = data / "server.log"
    arguments = ["up", f"--port={port}", f"--data={data}"]
    env = environment(database_url)
    env |= {f"PLACET_{name.upper()}": str(value) for name, value in settings.items()}
    with log.open("a") as errors, start(arguments, errors, env) as process:
        try:
            yield Stack(process, _ready(process, log), data, database_url, administer)
        finally:
            _end(process)


def environment(database_url: str | None) -> dict[str, str]:
    """Return the environment of ``placet-server``."""
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PLACET_") or name == FAST_PATH
    }
    if database_url is not None:
        env |= {"PLACET_DATABASE_URL": database_url, "PLACET_MODE": "development"}
    return env


def _ready(process: Process, log: Path) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    for word in line.split():
        if word.startswith("http://"):
            return word
    process.wait(READY_WITHIN)
    raise StackError(f"the server did not start; see {log}:\n{log.read_text()[-2000:]}")


def _end(process: Process) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(END_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
