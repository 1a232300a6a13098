"""Starts a server for benchmarks, tests and the demo: ``placet-server up`` in another process."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

READY_WITHIN = 60
END_WITHIN = 20


class StackError(Exception):
    """The server can't be started. The message has what it printed."""


class Stack:
    """A running server with its URL. ``tokens`` are the development tokens."""

    def __init__(
        self, process: subprocess.Popen[str], url: str, data: Path, database_url: str | None
    ) -> None:
        self.process = process
        self._database_url = database_url
        self.url = url
        self.data = data
        self.tokens: dict[str, str] = json.loads((data / "dev-tokens.json").read_text())

    def kill9(self) -> None:
        """Kill the server with SIGKILL."""
        self.process.kill()
        self.process.wait()

    def create_token(self, name: str, role: str, groups: Sequence[str] = ()) -> str:
        """Create an API key and return its token."""
        options = [f"--group={group}" for group in groups]
        return self._administer(
            "token", "create", f"--data={self.data}", f"--name={name}", f"--role={role}", *options
        ).strip()

    def revoke_token(self, name: str) -> None:
        """Revoke the API key with this name."""
        self._administer("token", "revoke", name, f"--data={self.data}")

    def _administer(self, *arguments: str) -> str:
        return placet_server(*arguments, database_url=self._database_url)


def placet_server(*arguments: str, database_url: str | None = None) -> str:
    """Run a command of ``placet-server`` and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "api.cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=_environment(database_url),
    )
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip()
        raise StackError(said or f"placet-server ended with {done.returncode}")
    return done.stdout


@contextmanager
def stack(data: Path, *, port: int = 0, database_url: str | None = None) -> Iterator[Stack]:
    """Start a server in development mode, and end it after the block.

    ``port`` 0 takes a free port. Without ``database_url`` the server has an embedded database in
    ``data``. Its log is in ``data/server.log``. Raises StackError if it does not become ready.
    """
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    log = data / "server.log"
    command = [sys.executable, "-m", "api.cli", "up", f"--port={port}", f"--data={data}"]
    with (
        log.open("a") as errors,
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            # So that Ctrl-C reaches this process alone, which then ends the server in order.
            start_new_session=True,
            env=_environment(database_url),
        ) as process,
    ):
        try:
            yield Stack(process, _ready(process, log), data, database_url)
        finally:
            _end(process)


def _environment(database_url: str | None) -> dict[str, str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("PLACET_")}
    if database_url is not None:
        env |= {"PLACET_DATABASE_URL": database_url, "PLACET_MODE": "development"}
    return env


def _ready(process: subprocess.Popen[str], log: Path) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    for word in line.split():
        if word.startswith("http://"):
            return word
    process.wait(READY_WITHIN)
    raise StackError(f"the server did not start; see {log}:\n{log.read_text()[-2000:]}")


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(END_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
