"""The command ``placet-server``: what it prints, and how it fails."""

import asyncio
import hashlib
import json
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from uuid import uuid4

import psutil
import psycopg
import pytest

from api.cli import _on_this_machine
from api.migration import migrate
from tests.application.server_process import ServerProcess
from tests.support import forked
from tests.support.forked import PLACET_SERVER

SAYS = (
    r"placet-server is ready on (?P<url>http://127\.0\.0\.1:\d+) \((?P<where>.*)\) and waits for"
    r" requests; people decide at (?P=url)/, and its log is on standard error\n"
)


def run(*arguments: str, url: str | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    given = {"PATH": "", **({"PLACET_DATABASE_URL": url} if url else {}), **env}
    return forked.run(PLACET_SERVER, *arguments, env=given)


async def record(url: str) -> None:
    """Put a few executions into the log, one with an approval."""
    migrate(url)
    async with ServerProcess.open(url) as process:
        execution = await process.start()
        await process.ask(execution.id)
        await process.start()


def test_the_help_lists_every_command_and_variable() -> None:
    program = [sys.executable, "-m", "api.cli"]
    listed = subprocess.run([*program, "--help"], capture_output=True, text=True, check=True).stdout
    for command in ("up", "migrate", "rebuild", "verify", "token", "people"):
        assert command in listed
    up = run("up", "--help").stdout
    for variable in ("PLACET_DATABASE_URL", "PLACET_MODE", "PLACET_MAX_QUEUE"):
        assert variable in up


async def test_tables_are_created_and_read_models_rebuilt(database_url: str) -> None:
    assert run("migrate", url=database_url).stdout == "all tables are there\n"
    await record(database_url)
    for name in ("executions", "approvals"):
        rebuilt = run("rebuild", name, url=database_url)
        assert rebuilt.returncode == 0, rebuilt.stderr
        assert rebuilt.stdout.startswith(f"{name}: 3 events")
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT count(*) FROM executions").fetchall() == [(2,)]


async def test_verify_names_what_was_changed(database_url: str) -> None:
    await record(database_url)
    sound = run("verify", url=database_url)
    assert (sound.returncode, sound.stderr) == (0, "")
    assert sound.stdout.startswith(
        "checked, up to position 3:\n  3 events of 2 executions, 0 standing grants and 0 people: "
    )
    assert "not found without --state" in sound.stdout
    assert sound.stdout.endswith("\nnothing was found\n")
    with psycopg.connect(database_url) as connection:
        [(execution_id,)] = connection.execute(
            "UPDATE execution_events SET state = convert_to(replace(convert_from(state, 'UTF8'),"
            " '\"finance\"', '\"gardeners\"'), 'UTF8')"
            " WHERE topic = 'execution.approval-requested.v1' RETURNING originator_id"
        ).fetchall()
    changed = run("verify", url=database_url)
    assert changed.returncode == 1
    assert str(execution_id) in changed.stdout
    assert "version 2" in changed.stdout
    assert "checked, apart from the findings above" in changed.stdout
    assert changed.stderr.endswith("findings in 3 events\n")


def test_verify_keeps_a_state_only_of_a_sound_log(database_url: str, tmp_path: Path) -> None:
    asyncio.run(record(database_url))
    state = tmp_path / "state"
    first = run("verify", "--state", str(state), url=database_url)
    assert "not there yet" in first.stdout
    kept = state.read_bytes()
    assert hashlib.sha256(kept).hexdigest() in first.stdout
    with psycopg.connect(database_url) as connection:
        connection.execute("DELETE FROM execution_events")
        connection.execute("DELETE FROM execution_holds")
    removed = run("verify", "--state", str(state), url=database_url)
    assert removed.returncode == 1
    assert removed.stdout.count("the execution was removed from the log") == 2
    assert state.read_bytes() == kept
    assert list(tmp_path.iterdir()) == [state]


def test_a_key_is_made_listed_rotated_and_revoked(database_url: str) -> None:
    made = run(
        *("token", "create", "--name", "ann", "--role", "APPROVER", "--role", "AUDITOR"),
        *("--group", "finance", "--owner", "ann-b", "--days", "30", "--queue", "travel"),
        url=database_url,
    )
    token = made.stdout.strip()
    assert token.startswith("placet_")
    again = run("token", "create", "--name=ann", "--role=ADMIN", url=database_url)
    assert again.returncode == 1
    assert again.stderr == (
        "placet-server: there is a key named 'ann' already; names are not used twice\n"
    )
    [listed] = run("token", "list", url=database_url).stdout.splitlines()
    key = json.loads(listed)
    assert (key["name"], key["owner"], key["roles"]) == ("ann", "ann-b", ["APPROVER", "AUDITOR"])
    assert (key["groups"], key["queues"]) == (["finance"], ["travel"])
    assert token not in listed
    other = run("token", "rotate", "ann", "--overlap", "24", url=database_url).stdout.strip()
    assert other.startswith("placet_")
    assert other != token
    assert run("token", "revoke", "ann", url=database_url).stdout == "ann is revoked\n"
    for name, said in (("ann", "'ann' is already revoked"), ("bob", "there is no key 'bob'")):
        failed = run("token", "revoke", name, url=database_url)
        assert (failed.returncode, failed.stderr) == (1, f"placet-server: {said}\n")


@pytest.mark.parametrize(
    ("arguments", "env", "said"),
    [
        (["rebuild", "nothing"], {}, "there are executions, approvals"),
        (["up"], {"PLACET_PORT": "no"}, "PLACET_PORT"),
        (["up", "--host", "0.0.0.0"], {}, "set PLACET_MODE, because"),
        (["up"], {"PLACET_DATABASE_URL": "mysql://x"}, "PLACET_DATABASE_URL"),
        (["migrate"], {"PLACET_DATABASE_URL": "postgresql:///x?host=/nowhere"}, "can't be reached"),
    ],
)
def test_an_error_that_the_user_can_fix_is_one_line(
    arguments: list[str], env: dict[str, str], said: str, tmp_path: Path
) -> None:
    failed = run(*arguments, PLACET_DATA=str(tmp_path), **env)
    assert failed.returncode == 1
    assert said in failed.stderr
    assert "Traceback" not in failed.stderr
    assert failed.stdout == ""


def test_a_port_in_use_is_named(tmp_path: Path, database_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        failed = run(
            *("up", f"--port={port}", f"--data={tmp_path}"),
            url=database_url,
            PLACET_MODE="development",
        )
    assert failed.returncode == 1
    assert f"placet-server: port {port} of 127.0.0.1 is in use" in failed.stderr
    assert "Traceback" not in failed.stderr


@pytest.mark.parametrize("days", ["nan", "inf", "10000000", "-1", "0"])
def test_a_key_without_expiry_needs_no_option(days: str) -> None:
    failed = run("token", "create", "--name=n", "--role=ADMIN", f"--days={days}")
    assert failed.returncode == 2
    assert "--days" in failed.stderr


@pytest.mark.parametrize(
    ("listens", "opened"),
    [
        ("http://0.0.0.0:8000", "http://127.0.0.1:8000"),
        ("http://[::]:8000", "http://[::1]:8000"),
        ("http://10.0.0.0:8000", "http://10.0.0.0:8000"),
    ],
)
def test_people_are_sent_to_an_address_that_a_browser_opens(listens: str, opened: str) -> None:
    assert _on_this_machine(listens) == opened


def test_a_second_server_on_the_same_data_names_the_first(tmp_path: Path) -> None:
    name = str(uuid4())
    tmp_path /= "{braces}"
    with (
        subprocess.Popen(
            [sys.executable, "-m", "api.cli", "up", "--port=0", f"--data={tmp_path}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as first,
    ):
        assert first.stdout is not None
        try:
            said = re.fullmatch(SAYS, first.stdout.readline())
            assert said is not None
            assert said["where"] == f"development, embedded PostgreSQL in {tmp_path}"
            second = run("up", "--port=0", f"--data={tmp_path}")
            assert second.returncode == 1
            assert f"in use by process {first.pid}" in second.stderr
            # Administration shares the database that runs.
            made = run("token", "create", f"--name={name}", "--role=ADMIN", f"--data={tmp_path}")
            assert made.returncode == 0
            assert name in run("token", "list", f"--data={tmp_path}").stdout
        finally:
            first.terminate()


@pytest.mark.parametrize("seconds", [0.2, 0.5, 0.7, 0.9, 1.2])
def test_a_signal_during_the_start_ends_the_server_in_order(tmp_path: Path, seconds: float) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "api.cli", "up", "--port=0", f"--data={tmp_path}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as server:
        time.sleep(seconds)
        children = psutil.Process(server.pid).children(recursive=True)
        server.terminate()
        # Before Python has come to our code, the signal ends it as it does any process.
        assert server.wait(30) in {0, -signal.SIGTERM}
    # What initdb had started itself ends a moment after it.
    _, left = psutil.wait_procs(children, timeout=10)
    assert left == []
