"""``make demo``: everything on one machine, with executions that stop for people's approval.

It starts a server on an embedded PostgreSQL and loads cases through the public API, from the permit
log if the file exists. Then it runs a workflow that waits for an approval, shows that a decision
wakes it, and prints where to make the next decision. Ctrl-C ends everything.
"""

import asyncio
import shlex
import signal
import socket
import sys
import tempfile
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import placet
from bench.stack import Stack, StackError, stack
from examples import permit_log
from examples.permit_log import Case
from examples.permit_replay import Report, Run

PORT = 8000
LOADED = 40
LEFT_WAITING = 3
TRIPS = ({"to": "Eindhoven", "days": 2}, {"to": "Lisbon", "days": 5}, {"to": "Kyoto", "days": 9})

MADE_UP = tuple(
    Case(
        f"made-up trip {number}",
        (
            "Permit SUBMITTED by EMPLOYEE",
            "Permit APPROVED by ADMINISTRATION",
            *(("Permit REJECTED by SUPERVISOR", "Permit SUBMITTED by EMPLOYEE") * (number % 2)),
            "Permit FINAL_APPROVED by SUPERVISOR",
            "Start trip",
            "End trip",
            "Declaration SUBMITTED by EMPLOYEE",
            "Declaration FINAL_APPROVED by SUPERVISOR",
            "Payment Handled",
        ),
    )
    for number in range(1, 9)
)


@dataclass
class Clock:
    """When the decision was sent, and when the workflow continued."""

    decided: float = 0.0
    went_on: float = 0.0


class Trips:
    """A workflow that asks finance before it books a trip, and prints what it does."""

    def __init__(self, server: Stack) -> None:
        self.clock = Clock()
        self.engine = placet.Engine(
            server.url, token=server.tokens["engine"], queues=["trips"], worker="demo"
        )
        self.engine.workflow(self.book_trip)

    async def book_trip(self, run: placet.Run, trip: dict[str, Any]) -> Any:
        """Estimate the cost of a trip, ask finance, and book exactly what was granted."""
        cost = await run.step(self.estimate, trip)
        clearance = await run.approval(
            f"Trip to {trip['to']}", payload=cost, policy=placet.require(1, group="finance")
        )
        self.clock.went_on = time.perf_counter()
        say(f"resumed    the trip to {trip['to']}, granted by {clearance.decisions[0].by.id}")
        return await run.step(self.book, clearance.payload, clearance=clearance)

    async def estimate(self, trip: dict[str, Any]) -> dict[str, Any]:
        """Return the trip with its cost in euros."""
        say(f"estimated  the trip to {trip['to']}; now it waits for finance")
        return {**trip, "euros": 180 * trip["days"] + 240}

    async def book(self, cost: dict[str, Any]) -> dict[str, Any]:
        """Return the number of the booking."""
        say(f"booked     the trip to {cost['to']} for {cost['euros']} euros, exactly as granted")
        return {"booking": f"{cost['to'].upper()[:3]}-{cost['euros']}"}


def say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)


async def load(server: Stack) -> None:
    """Replay cases through the API, the last few only up to their last approval."""
    path = permit_log.find()
    if path is None:
        source, cases = "made-up trips (the permit log with PERMITS=path)", list(MADE_UP)
    else:
        source, cases = f"cases of {path.name}", list(permit_log.read(path))[:LOADED]
    stopped = [_until_last_question(case) for case in cases[-LEFT_WAITING:]]
    cases = cases[:-LEFT_WAITING] + stopped
    report = Report(cases=len(cases))
    async with AsyncExitStack() as clients:
        tokens = {name: server.tokens[name] for name in ("operator", "engine")}
        tokens |= {
            role: server.create_token(role.lower().replace(" ", "-"), "APPROVER", [role])
            for role in permit_log.ROLES
        }
        opened = {
            name: await clients.enter_async_context(placet.Client(server.url, token))
            for name, token in tokens.items()
        }
        run = Run(opened, report)
        began = time.perf_counter()
        await asyncio.gather(*map(run.drive, cases))
        seconds = time.perf_counter() - began
    say(
        f"loaded     {len(cases)} {source}: {report.requests} requests in {seconds:.1f} s, "
        f"{report.answers['accepted']} decisions, {LEFT_WAITING} left waiting"
    )


def _until_last_question(case: Case) -> Case:
    asked = [i for i, name in enumerate(case.events) if " SUBMITTED " in name]
    return Case(case.name, case.events[: asked[-1] + 1]) if asked else case


async def show_one(server: Stack, trips: Trips) -> placet.Approval:
    """Start the trips, decide the first and show that it continues. Returns the next approval."""
    async with (
        placet.Client(server.url, server.tokens["operator"]) as operator,
        placet.Client(server.url, server.tokens["approver-b"]) as approver,
    ):
        started = [
            await operator.start("book_trip", trip, queue="trips", on_behalf_of="employee")
            for trip in TRIPS
        ]
        ids = [accepted.execution.id for accepted in started if accepted.execution]
        waiting = [await _approval_of(approver, execution_id) for execution_id in ids]
        trips.clock.decided = time.perf_counter()
        await approver.grant(waiting[0], comment="Have a good trip")
        async with asyncio.timeout(30):
            events = operator.execution_events(ids[0], after_version=0)
            async for event in events:
                if event.type == "Completed":
                    break
    late = (trips.clock.went_on - trips.clock.decided) * 1000
    say(f"           its next line ran {late:.1f} ms after the decision was sent")
    return waiting[1]


async def _approval_of(approver: placet.Client, execution_id: str) -> placet.Approval:
    """Wait for the execution's approval."""
    where = placet.ApprovalFilter(execution_id=execution_id)
    async with asyncio.timeout(30):
        async for message in approver.approvals_stream(where, after="0"):
            if message.approval is not None:
                return message.approval
    raise AssertionError("the stream of approvals never ends by itself")


def explain(server: Stack, approval: placet.Approval) -> None:
    """Print where to look and how to decide."""
    command = f"{shlex.quote(str(Path(sys.executable).parent / 'placet'))} --url {server.url}"
    as_approver = f"{command} --data {shlex.quote(str(server.data))} --as approver-b"
    mutation = (
        "mutation($input: DecisionInput!) "
        "{ grantApproval(input: $input) { __typename approval { status } } }"
    )
    body = (
        f'{{"query": "{mutation}", "variables": {{"input": '
        f'{{"approvalId": "{approval.id}", "digest": "{approval.digest}"}}}}}}'
    )
    say("")
    say(f"Open:      {server.url}/sign-in?as=approver-b&next=/inbox")
    say(
        "           the inbox of an approver: the trips wait there, and go on when you approve them"
    )
    say(f"Look:      {server.url}/graphql (GraphiQL), /metrics, /readyz")
    say(f"           {as_approver} approvals")
    say(f"Decide:    {as_approver} approve {approval.id} --yes")
    say("or:        curl -s -H 'Content-Type: application/json' \\")
    say(f"             -H 'Authorization: Bearer {server.tokens['approver-b']}' \\")
    say(f"             -d '{body}' {server.url}/graphql")
    say(f"Tokens:    {server.data}/dev-tokens.json; the server's log is beside it")
    say("Ctrl-C ends everything.")
    say("")


async def demo(server: Stack) -> None:
    """Load the cases, show one decision, explain the next, and run until cancelled."""
    await load(server)
    trips = Trips(server)
    async with trips.engine:
        explain(server, await show_one(server, trips))
        await asyncio.Event().wait()


def free_port() -> int:
    """Return the usual port, or 0 (any port) if it is in use."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", PORT))
        except OSError:
            return 0
    return PORT


def main() -> None:
    """Run the demo."""
    # A shell without a terminal may have started this with SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    with tempfile.TemporaryDirectory(prefix="placet-demo-") as data, suppress(KeyboardInterrupt):
        try:
            with stack(Path(data), port=free_port()) as server:
                say(f"started    placet-server on {server.url}, with an embedded PostgreSQL")
                asyncio.run(demo(server))
        except StackError as error:
            sys.exit(f"examples.demo: {error}")
    say("ended")


if __name__ == "__main__":
    main()
