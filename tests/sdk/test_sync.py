"""The client without an event loop of the caller's, against a service."""

import asyncio
import inspect
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Any, assert_type

import pytest

import placet
from placet import (
    Approval,
    ApprovalStatus,
    Execution,
    ExecutionState,
    Refused,
    errors,
    require,
    sync,
)
from placet.client.state_watch import StateWatch as AsyncWatch
from placet.errors import NoSuchObject
from placet.models.responses import Principal, RecordedEvent
from tests.sdk.people import Server
from tests.support.patience import HANGS

FINANCE = require(1, group="finance")

Made = Callable[[str], sync.Client]


@pytest.fixture
def client(server: Server) -> Iterator[Made]:
    """Make clients, by the names of the principals."""
    made: list[sync.Client] = []

    def make(name: str) -> sync.Client:
        made.append(sync.Client(server.url, server.tokens[name]))
        return made[-1]

    yield make
    for each in made:
        each.close()


def asked(client: Made) -> Approval:
    started = client("operator").start("sync")
    assert started.execution is not None
    accepted = client("engine").request_approval(
        started.execution.id, "go", "Go?", payload={"n": 1}, policy=FINANCE
    )
    assert accepted.approval is not None
    return accepted.approval


def at_the_same_time(work: Callable[[], Any]) -> "Future[Any]":
    """Do the work on another thread."""
    pool = ThreadPoolExecutor(1)
    doing = pool.submit(work)
    pool.shutdown(wait=False)
    return doing


def public(cls: type) -> dict[str, Any]:
    return {
        name: member
        for name, member in inspect.getmembers(cls, callable)
        if not name.startswith("_")
    }


def test_it_has_every_method_of_the_async_client() -> None:
    assert public(sync.Client).keys() == public(placet.Client).keys()
    assert public(sync.Watch).keys() == public(AsyncWatch).keys()


@pytest.mark.parametrize("name", ["__init__", *public(placet.Client)])
def test_every_method_takes_and_says_the_same(name: str) -> None:
    mine, original = getattr(sync.Client, name), getattr(placet.Client, name)
    taken = inspect.signature(original).parameters
    assert list(inspect.signature(mine).parameters.values()) == list(taken.values())
    if name not in {"__init__", "close", "watch"}:
        assert mine.__doc__ == original.__doc__


def test_types_are_those_of_the_async_client(client: Made) -> None:
    operator = client("operator")
    assert_type(operator.viewer(), Principal)
    accepted = operator.start("typed", {"n": 1}, labels={"a": "b"})
    assert_type(accepted, sync.Started[Any])
    assert accepted.execution is not None
    assert_type(operator.execution(accepted.execution.id), Execution | None)
    events = operator.execution_events(accepted.execution.id, after_version=0)
    assert_type(events, Generator[RecordedEvent, None, None])
    events.close()


def test_a_script_starts_waits_and_goes_on(client: Made) -> None:
    operator, approver = client("operator"), client("approver-a")
    approval = asked(client)
    waiting = at_the_same_time(lambda: operator.wait_for(approval))
    approver.grant(approval, comment="fine")
    assert waiting.result(HANGS).status is ApprovalStatus.GRANTED

    ending = at_the_same_time(lambda: operator.wait(approval.execution_id))
    client("engine").complete(approval.execution_id, {"done": True})
    ended = ending.result(HANGS)
    assert (ended.state, ended.result) == (ExecutionState.COMPLETED, {"done": True})


def test_refusals_and_errors_are_raised(client: Made, server: Server) -> None:
    approval = asked(client)
    with pytest.raises(Refused) as refused:
        client("approver-c").grant(approval)
    assert refused.value.code == "NOT_FOUND"
    with sync.Client(server.url, "nonsense") as nobody, pytest.raises(errors.Unauthenticated):
        nobody.viewer()
    with pytest.raises(TimeoutError):
        client("operator").wait(approval.execution_id, timeout=0.05)


def test_a_stream_is_an_iterator(client: Made) -> None:
    operator, engine = client("operator"), client("engine")
    approval = asked(client)
    with closing(operator.execution_events(approval.execution_id, after_version=0)) as events:
        assert [next(events).type, next(events).type] == ["Started", "ApprovalRequested"]
        engine.withdraw(approval.id, "not needed")
        assert next(events).type == "ApprovalWithdrawn"
    with pytest.raises(NoSuchObject):
        list(operator.execution_events("nonsense", after_version=0))


def test_a_watch_is_read_without_a_request(client: Made) -> None:
    operator = client("operator")
    approval = asked(client)
    with operator.watch(approval.execution_id) as watch:
        assert (watch.state, watch.version) == (ExecutionState.WAITING_APPROVAL, 2)
        with pytest.raises(TimeoutError):
            watch.until(timeout=0.05)
        operator.cancel(approval.execution_id, "enough")
        assert watch.until() is ExecutionState.CANCELLED
        assert watch.version == 4


def test_threads_share_a_client(client: Made) -> None:
    operator, approver = client("operator"), client("approver-a")
    approvals = [asked(client) for _ in range(5)]
    with ThreadPoolExecutor(len(approvals) * 2) as pool:
        waiting = [pool.submit(operator.wait_for, each) for each in approvals]
        granted = list(pool.map(approver.grant, approvals))
        resolved = [each.result(HANGS) for each in waiting]
    assert [each.id for each in resolved] == [each.id for each in approvals]
    assert not any(each.repeated for each in granted)


async def test_a_loop_that_runs_elsewhere_is_left_alone(client: Made) -> None:
    operator = client("operator")
    # On the loop's own thread, as in a notebook; and on another, while the loop goes on.
    assert operator.viewer().id == "operator"
    approval = asked(client)
    waiting = asyncio.create_task(asyncio.to_thread(operator.wait_for, approval))
    await asyncio.to_thread(client("approver-a").grant, approval)
    assert (await waiting).status is ApprovalStatus.GRANTED


def test_closing_ends_its_thread_and_what_is_under_way(client: Made) -> None:
    before = set(threading.enumerate())
    approval = asked(client)
    operator = client("operator")
    with closing(operator.execution_events(approval.execution_id, after_version=0)) as events:
        next(events)
        started = threading.Event()

        def until(_: Execution) -> bool:
            started.set()
            return False

        waiting = at_the_same_time(lambda: operator.wait(approval.execution_id, until=until))
        assert started.wait(HANGS)
        mine = {each for each in threading.enumerate() if each.name == "placet"} - before
        operator.close()
        with pytest.raises(RuntimeError, match="closed while a call was under way"):
            waiting.result(HANGS)
        with pytest.raises(RuntimeError, match="closed"):
            next(events)
    assert len([each for each in mine if not each.is_alive()]) == 1
    with pytest.raises(RuntimeError, match="this client is closed"):
        operator.viewer()
    operator.close()


def test_a_client_that_was_never_used_has_no_thread(server: Server) -> None:
    before = threading.active_count()
    with sync.Client(server.url, server.tokens["operator"]):
        assert threading.active_count() == before


def script(server: Server, text: str) -> "subprocess.CompletedProcess[str]":
    """Run a program that has a client of the operator."""
    head = f"""
import os, sys
from placet import sync
client = sync.Client({server.url!r}, {server.tokens["operator"]!r})
"""
    return subprocess.run(
        [sys.executable, "-c", head + text],
        capture_output=True,
        text=True,
        timeout=HANGS,
        check=True,
    )


def test_a_process_ends_though_a_client_is_left_open(server: Server) -> None:
    done = script(server, "print(client.viewer().id)")
    assert (done.stdout, done.stderr) == ("operator\n", "")


FORK = """
child = os.fork()
if child == 0:
    try:
        print(client.viewer().id, flush=True)
    except RuntimeError as error:
        print(error, flush=True)
    sys.exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), client.viewer().id)
"""


def test_a_client_that_was_used_is_not_for_a_forked_child(server: Server) -> None:
    done = script(server, "client.viewer()" + FORK)
    said = done.stdout.splitlines()
    assert "make a client in each process" in said[0]
    assert said[1:] == ["0 operator"]
    assert "Error" not in done.stderr, done.stderr


def test_a_client_that_was_only_made_is_for_both_sides_of_a_fork(server: Server) -> None:
    assert script(server, FORK).stdout.splitlines() == ["operator", "0 operator"]


def test_an_interrupt_ends_the_call_and_leaves_the_client_usable(server: Server) -> None:
    text = """
import signal, threading
started = client.start("interrupted").execution
def until(execution):
    os.kill(os.getpid(), signal.SIGINT)
    return False
try:
    client.wait(started.id, until=until)
except KeyboardInterrupt:
    print("interrupted", len(client._loop._calls))
print(client.viewer().id)
client.close()
"""
    assert script(server, text).stdout.splitlines()[1:] == ["operator"]
