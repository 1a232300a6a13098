"""Programs of this project in processes of their own, forked from one that has imported them.

Importing is most of what a short command takes, and half of the start of a server; the tests start
hundreds. Such a process has its own arguments, environment and standard streams, and ends as if a
shell had started it.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.reduction import DupFd
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from bench import stack as spawned
from tests.support.patience import HANGS

PLACET, PLACET_SERVER = "placet.cli:main", "api.cli:cli"
"""The programs, as an entry point names them."""


_processes = get_context("forkserver")
_processes.set_forkserver_preload(["tests.support.preloaded"])


class Forked:
    """A running program, with the members of ``subprocess.Popen`` that are used.

    ``files`` are its standard input, output and errors. ``env`` is its whole environment, by
    default that of this process.
    """

    stdout: IO[str] | None = None

    def __init__(
        self,
        program: str,
        arguments: Sequence[str],
        files: tuple[int, int, int],
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._args = [program, *arguments]
        given = dict(os.environ if env is None else env)
        self._process = _processes.Process(
            target=_main, args=(self._args, given, [_File(file) for file in files])
        )
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        status = self._process.exitcode
        if status is None:
            assert timeout is not None
            raise subprocess.TimeoutExpired(self._args, timeout)
        return status

    def send_signal(self, sig: int) -> None:
        # It may have ended, and its status be on the way.
        with suppress(ProcessLookupError):
            if self.poll() is None:
                os.kill(self.pid, sig)

    def terminate(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        self._process.kill()


def run(
    program: str, *arguments: str, env: Mapping[str, str] | None = None, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, as ``subprocess.run`` does."""
    encoding = _encoding(env or {})
    with TemporaryFile() as given, TemporaryFile() as output, TemporaryFile() as errors:
        given.write(stdin.encode(encoding))
        given.seek(0)
        files = (given.fileno(), output.fileno(), errors.fileno())
        process = Forked(program, arguments, files, env)
        try:
            status = process.wait(HANGS)
        finally:
            process.kill()
        printed = []
        for file in (output, errors):
            file.seek(0)
            printed.append(file.read().decode(encoding))
        return subprocess.CompletedProcess([program, *arguments], status, *printed)


class _File:
    """An open file, by a number of its own on each side of the start of a process."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> tuple[Any, ...]:
        # The library passes on what it is told of while it writes to the new process.
        return _taken_over, (DupFd(self.number),)


def _taken_over(passed: Any) -> _File:
    return _File(passed.detach())


def _encoding(env: Mapping[str, str]) -> str:
    return env.get("PYTHONIOENCODING", "utf-8")


@contextmanager
def _start(arguments: Sequence[str], errors: IO[Any], env: dict[str, str]) -> Iterator[Forked]:
    """Start ``placet-server``. Its standard output can be read."""
    readable, writable = os.pipe()
    with Path(os.devnull).open("rb") as nothing, os.fdopen(readable) as output:
        try:
            files = (nothing.fileno(), writable, errors.fileno())
            process = Forked(PLACET_SERVER, arguments, files, env)
        finally:
            os.close(writable)
        process.stdout = output
        yield process
        process.wait()


def placet_server(*arguments: str, database_url: str | None = None) -> str:
    """Run a command of ``placet-server`` as ``bench.stack.placet_server`` does, and sooner."""
    env = spawned.environment(database_url)
    return spawned.printed(run(PLACET_SERVER, *arguments, env=env))


stack = partial(spawned.stack, start=_start, administer=placet_server)
"""Start a server as ``bench.stack.stack`` does, and sooner."""


def _main(args: list[str], env: dict[str, str], files: "list[_File]") -> None:
    # So that Ctrl-C reaches the tests alone, which then end what they have started.
    os.setsid()
    os.environ.clear()
    os.environ.update(env)
    for number, file in enumerate(files):
        os.dup2(file.number, number)
    encoding = _encoding(env)
    sys.stdin = os.fdopen(0, encoding=encoding, closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding=encoding, closefd=False)
    sys.stderr = os.fdopen(2, "w", 1, encoding, "backslashreplace", closefd=False)
    program, *arguments = args
    module, _, name = program.partition(":")
    sys.argv = [name, *arguments]
    getattr(import_module(module), name)()
