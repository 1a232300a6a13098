"""The command ``placet mcp`` as a process, used by the library's own client."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

import pytest
from anyio import wrap_file
from mcp import Client
from mcp.server.stdio import stdio_server
from mcp.types import TextContent

from placet import Approval, ExecutionState, Gate, require
from tests.sdk.people import People, Server
from tests.support.forked import PLACET, Forked
from tests.support.proxy import HttpWire

COMMAND = Path(sys.executable).with_name("placet")
NOWHERE = "http://127.0.0.1:9"
MAIL = {"to": "Ada", "text": "Grüße"}


class Agent:
    """An agent's end of the server, and the people."""

    def __init__(self, client: Client, people: People) -> None:
        self.client = client
        self.people = people
        self.progress: list[tuple[float, float | None, str | None]] = []

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool that must succeed."""
        result = await self.client.call_tool(tool, arguments, progress_callback=self._note)
        assert not result.is_error, result.content
        assert result.structured_content is not None
        [text] = result.content
        assert isinstance(text, TextContent)
        content: dict[str, Any] = result.structured_content
        assert json.loads(text.text) == content
        return content

    async def refused(self, tool: str, **arguments: Any) -> str:
        """Call a tool that must fail, and give what the agent is told."""
        result = await self.client.call_tool(tool, arguments)
        assert result.is_error
        [text] = result.content
        assert isinstance(text, TextContent)
        return text.text

    async def ask(self, **more: Any) -> Approval:
        """Ask with a key of its own, and give the approval as an approver sees it."""
        given = {"action": "send_email", "title": "Write to Ada", "payload": MAIL} | more
        state = await self.call("request_approval", **{"key": str(uuid4())} | given)
        approver = await self.people.get("approver-a")
        approval = await approver.approval(state["approval_id"])
        assert approval is not None
        return approval

    async def granted(self) -> Approval:
        approval = await self.ask()
        await (await self.people.get("approver-a")).grant(approval, comment="fine")
        return approval

    async def state(self, approval: Approval) -> ExecutionState:
        execution = await (await self.people.get("operator")).execution(approval.execution_id)
        assert execution is not None
        return execution.state

    async def _note(self, progress: float, total: float | None, message: str | None) -> None:
        self.progress.append((progress, total, message))


@asynccontextmanager
async def running(server: Server, people: People, log: Path, *options: str) -> AsyncIterator[Agent]:
    arguments = ["mcp", "--group", "finance", *options]
    env = {"PLACET_URL": server.url, "PLACET_TOKEN": server.tokens["engine"]}
    with log.open("w+") as errors:
        async with Client(_forked(arguments, env, errors)) as client:
            yield Agent(client, people)
        errors.seek(0)
        assert errors.read() == ""


@asynccontextmanager
async def _forked(arguments: list[str], env: dict[str, str], errors: IO[str]) -> AsyncIterator[Any]:
    """Start the server, and speak with it over its standard streams."""
    to_server, to_client = os.pipe(), os.pipe()
    process = Forked(PLACET, arguments, (to_server[0], to_client[1], errors.fileno()), env)
    os.close(to_server[0])
    os.close(to_client[1])
    with os.fdopen(to_client[0]) as output, os.fdopen(to_server[1], "w") as given:
        # The library's streams between lines and messages, which are the same at both ends.
        async with stdio_server(wrap_file(output), wrap_file(given)) as streams:
            yield streams
            given.close()
    assert await asyncio.to_thread(process.wait, 30) == 0


Connect = Callable[..., AbstractAsyncContextManager[Agent]]


@pytest.fixture
def connect(server: Server, people: People, tmp_path: Path) -> Connect:
    # Not the agent itself: the library's client must be left by the task that entered it.
    return partial(running, server, people, tmp_path / "stderr")


async def test_an_agent_asks_waits_redeems_acts_and_reports(connect: Connect) -> None:
    async with connect() as agent:
        approval = await agent.ask()
        assert (approval.workflow, approval.title, approval.payload) == (
            "send_email",
            "Write to Ada",
            MAIL,
        )
        waiting = asyncio.create_task(agent.call("await_approval", approval_id=approval.id))
        await (await agent.people.get("approver-a")).grant(approval, comment="fine")
        state = await waiting
        assert state["status"] == "GRANTED"
        assert state["decisions"] == [
            {"verdict": "GRANTED", "by": "approver-a", "comment": "fine", "answers": None}
        ]
        assert "redeem_approval" in state["next"]

        assert (await agent.call("redeem_approval", approval_id=approval.id, payload=MAIL))["act"]
        await agent.call("report_outcome", approval_id=approval.id, outcome="done", result="sent")
        assert await agent.state(approval) is ExecutionState.COMPLETED
        again = await agent.call("redeem_approval", approval_id=approval.id, payload=MAIL)
        assert (again["act"], again["result"]) == (False, "sent")
        assert (await agent.call("get_approval", approval_id=approval.id))["redeemed"]


async def test_waiting_ends_and_says_that_it_is_pending(connect: Connect) -> None:
    async with connect() as agent:
        approval = await agent.ask()
        state = await agent.call("await_approval", approval_id=approval.id, wait_seconds=0)
        assert (state["status"], state["missing"]) == ("PENDING", ["1 of finance"])
        assert "await_approval" in state["next"]
        [(passed, total, message)] = agent.progress
        assert (passed >= 0, total, message) == (True, 0, "people have not decided yet")


async def test_asking_again_finds_the_same_approval(connect: Connect) -> None:
    async with connect() as agent:
        payload = MAIL | {"id": str(uuid4())}
        first = await agent.ask(payload=payload, key="")
        assert (await agent.ask(payload=payload, key="")).id == first.id
        assert (await agent.ask(payload=payload)).id != first.id


async def test_another_payload_is_not_redeemed(connect: Connect) -> None:
    async with connect() as agent:
        approval = await agent.granted()
        other = MAIL | {"to": "Bob"}
        told = await agent.refused("redeem_approval", approval_id=approval.id, payload=other)
        assert "not what was approved; do not act" in told
        assert (await agent.call("redeem_approval", approval_id=approval.id, payload=MAIL))["act"]


async def test_what_people_changed_is_what_the_agent_does(connect: Connect) -> None:
    async with connect("--amendable") as agent:
        approval = await agent.ask()
        assert approval.policy.amendable
        shorter = MAIL | {"text": "Hi"}
        await (await agent.people.get("approver-a")).grant(approval, amended_payload=shorter)

        state = await agent.call("await_approval", approval_id=approval.id)
        assert (state["payload"], state["amended_by"]) == (shorter, ["approver-a"])
        assert "not the one that you asked for" in state["next"]
        await agent.refused("redeem_approval", approval_id=approval.id, payload=MAIL)
        done = await agent.call("redeem_approval", approval_id=approval.id, payload=shorter)
        assert done["act"]


async def test_what_was_redeemed_and_not_reported_is_not_redeemed_again(connect: Connect) -> None:
    async with connect() as agent:
        approval = await agent.granted()
        await agent.call("redeem_approval", approval_id=approval.id, payload=MAIL)
        told = await agent.refused("redeem_approval", approval_id=approval.id, payload=MAIL)
        assert "it is not begun again" in told


async def test_a_failure_is_reported_and_stands(connect: Connect) -> None:
    async with connect() as agent:
        approval = await agent.granted()
        await agent.call("redeem_approval", approval_id=approval.id, payload=MAIL)
        await agent.call(
            "report_outcome", approval_id=approval.id, outcome="failed", result="bounced"
        )
        assert await agent.state(approval) is ExecutionState.FAILED
        told = await agent.refused("redeem_approval", approval_id=approval.id, payload=MAIL)
        assert "bounced" in told
        told = await agent.refused("report_outcome", approval_id=approval.id, outcome="done")
        assert "only the first counts: failed, 'ReportedFailureError: bounced'" in told


@pytest.mark.parametrize(
    "text", ["r" * 300_000, "\x01" * 50_000, "€" * 50_000, "\x00", "\uffff\ufdd0"]
)
async def test_what_was_done_is_recorded_as_done_however_long_its_result(
    connect: Connect, text: str
) -> None:
    async with connect() as agent:
        approval = await agent.granted()
        await agent.call("redeem_approval", approval_id=approval.id, payload=MAIL)
        report = {"approval_id": approval.id, "outcome": "done", "result": text}
        for _ in range(2):
            told = await agent.call("report_outcome", **report)
            assert told["outcome"] == "done"
            assert ("cut to 40000 characters" in told["next"]) == (len(text) > 40_000)
        assert await agent.state(approval) is ExecutionState.COMPLETED


async def test_a_long_failure_is_recorded_cut(connect: Connect) -> None:
    async with connect() as agent:
        approval = await agent.granted()
        await agent.call("redeem_approval", approval_id=approval.id, payload=MAIL)
        report = {"approval_id": approval.id, "outcome": "failed", "result": "r" * 12_000}
        for _ in range(2):
            told = await agent.call("report_outcome", **report)
            assert "cut to 9000 characters" in told["next"]
        assert await agent.state(approval) is ExecutionState.FAILED


async def test_the_first_report_stands(connect: Connect) -> None:
    async with connect() as agent:
        approval = await agent.granted()
        await agent.call("redeem_approval", approval_id=approval.id, payload=MAIL)
        report = {"approval_id": approval.id, "outcome": "done", "result": "sent"}
        await agent.call("report_outcome", **report)
        await agent.call("report_outcome", **report)
        for other in ({"result": "sent twice"}, {"outcome": "failed"}):
            told = await agent.refused("report_outcome", **report | other)
            assert "only the first counts: done, 'sent'" in told
        assert await agent.state(approval) is ExecutionState.COMPLETED


async def test_a_key_that_was_used_says_what_to_do(connect: Connect) -> None:
    async with connect() as agent:
        payload = MAIL | {"id": str(uuid4())}
        asked = {"action": "send_email", "title": "Write", "payload": payload}
        await agent.call("request_approval", **asked)
        told = await agent.refused("request_approval", **asked | {"title": "Write to Ada"})
        assert "this payload, by which the request is known, was used before" in told
        assert "give a key that was not used" in told
        key = str(uuid4())
        await agent.call("request_approval", **asked, key=key)
        other = asked | {"payload": MAIL}
        assert "this key was used" in await agent.refused("request_approval", **other, key=key)


async def test_a_rejection_is_an_answer_and_ends_the_execution(connect: Connect) -> None:
    async with connect() as agent:
        approval = await agent.ask()
        await (await agent.people.get("approver-b")).reject(approval, comment="not in this tone")
        state = await agent.call("await_approval", approval_id=approval.id)
        assert (state["status"], state["decisions"][0]["comment"]) == (
            "REJECTED",
            "not in this tone",
        )
        assert await agent.state(approval) is ExecutionState.FAILED
        told = await agent.refused("redeem_approval", approval_id=approval.id, payload=MAIL)
        assert "was rejected: not in this tone" in told


async def test_an_agent_is_told_what_to_change_and_asks_again(connect: Connect) -> None:
    async with connect() as agent:
        approval = await agent.ask()
        approver = await agent.people.get("approver-b")
        await approver.request_changes(approval, comment="be polite")
        state = await agent.call("await_approval", approval_id=approval.id)
        assert (state["status"], state["decisions"][0]["comment"]) == (
            "CHANGES_REQUESTED",
            "be polite",
        )
        assert "Change the payload, and call request_approval again" in state["next"]
        assert await agent.state(approval) is ExecutionState.RESUMED


async def test_a_request_is_taken_back(connect: Connect) -> None:
    async with connect() as agent:
        approval = await agent.ask()
        state = await agent.call("withdraw_approval", approval_id=approval.id, reason="no need")
        assert state["status"] == "WITHDRAWN"


async def test_what_is_wrong_is_told_in_words(connect: Connect) -> None:
    async with connect() as agent:
        approval = await agent.ask()
        told = await agent.refused("redeem_approval", approval_id=approval.id, payload=MAIL)
        assert "people have not decided" in told
        told = await agent.refused("report_outcome", approval_id=approval.id, outcome="done")
        assert "was not redeemed" in told
        assert "there is no approval 'x'" in await agent.refused("get_approval", approval_id="x")
        told = await agent.refused("request_approval", action="a", title="", payload={})
        assert "INVALID_INPUT: title must not be empty" in told
        assert "payload" in await agent.refused(
            "request_approval", action="a", title="t", payload=[]
        )


async def test_the_tools_say_what_they_take_give_and_do(connect: Connect) -> None:
    async with connect() as agent:
        tools = {tool.name: tool for tool in (await agent.client.list_tools()).tools}
        hints = {
            name: (each.read_only_hint, each.destructive_hint, each.idempotent_hint)
            for name, tool in tools.items()
            if (each := tool.annotations) is not None
        }
        assert hints == {
            "request_approval": (False, False, True),
            "await_approval": (False, False, True),
            "get_approval": (True, False, True),
            "redeem_approval": (False, True, False),
            "report_outcome": (False, False, True),
            "withdraw_approval": (False, True, True),
        }
        for tool in tools.values():
            assert tool.output_schema is not None
            assert tool.description
            assert "context" not in tool.input_schema["properties"]
        asked = tools["request_approval"].input_schema
        assert asked["required"] == ["action", "title", "payload"]
        assert asked["properties"]["payload"]["type"] == "object"


async def test_for_whom_the_agent_works_does_not_decide(connect: Connect) -> None:
    async with connect("--on-behalf-of", "approver-a") as agent:
        approval = await agent.ask()
    assert not approval.viewer_may_decide.allowed


@pytest.mark.parametrize("same", ["queue", "queue, label of nobody"])
async def test_another_gates_approval_is_out_of_reach(connect: Connect, same: str) -> None:
    """The other gate has the token and the queue of the agent's server."""
    async with connect() as agent:
        gate = Gate(await agent.people.get("engine"))
        approval = await gate.ask(
            "send_email",
            str(uuid4()),
            title="Write to Ada",
            payload=MAIL,
            policy=require(1, group="finance"),
            labels={"for": "nobody"} if "label" in same else None,
        )
        for tool, more in (
            ("get_approval", {}),
            ("await_approval", {"wait_seconds": 0}),
            ("withdraw_approval", {"reason": "x"}),
        ):
            told = await agent.refused(tool, approval_id=approval.id, **more)
            assert f"there is no approval '{approval.id}'" in told
        await (await agent.people.get("approver-a")).grant(approval)
        told = await agent.refused("redeem_approval", approval_id=approval.id, payload=MAIL)
        assert "that was requested through this server" in told
        clearance = await gate.clearance(approval)
        assert await gate.perform(clearance, str, "sent") == "sent"
        told = await agent.refused("report_outcome", approval_id=approval.id, outcome="done")
        assert "there is no approval" in told


async def test_for_another_person_is_another_gate(connect: Connect) -> None:
    async with connect("--on-behalf-of", "ada") as agent:
        approval = await agent.ask()
    async with connect("--on-behalf-of", "bob") as other:
        told = await other.refused("withdraw_approval", approval_id=approval.id, reason="x")
        assert "that was requested through this server" in told


async def test_a_server_that_was_started_again_goes_on_with_its_approvals(
    connect: Connect,
) -> None:
    async with connect() as agent:
        approval = await agent.granted()
    async with connect() as agent:
        state = await agent.call("await_approval", approval_id=approval.id)
        assert state["status"] == "GRANTED"
        assert (await agent.call("redeem_approval", approval_id=approval.id, payload=MAIL))["act"]


async def test_a_service_that_goes_away_is_told(
    server: Server, people: People, tmp_path: Path
) -> None:
    with HttpWire.open(server.url) as wire:

        class Wired:
            url = wire.url
            tokens = server.tokens

        async with running(Wired(), people, tmp_path / "stderr") as agent:
            wire.down = True
            wire.cut()
            told = await agent.refused("get_approval", approval_id="x")
    assert f"no answer from {wire.url}/graphql" in told


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--token", "t", "mcp"], 2, "who decides?"),
        (["mcp", "--group", "finance"], 1, "no token"),
        (["--url", NOWHERE, "--token", "t", "mcp", "--user", "u"], 1, f"no answer from {NOWHERE}"),
    ],
)
def test_a_wrong_start_says_so_and_prints_nothing_else(
    options: list[str], code: int, said: str
) -> None:
    done = subprocess.run(
        [COMMAND, *options], capture_output=True, text=True, check=False, timeout=60, input=""
    )
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr


def test_nothing_but_the_protocol_is_on_standard_output(server: Server) -> None:
    calls = [
        ("initialize", {"protocolVersion": "2025-06-18", "capabilities": {},
                        "clientInfo": {"name": "test", "version": "1"}}),
        ("tools/call", {"name": "get_approval", "arguments": {"approval_id": "x"}}),
        ("tools/call", {"name": "nonsense", "arguments": {}}),
        ("nonsense", {}),
    ]  # fmt: skip
    messages: list[dict[str, Any]] = [
        {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        for number, (method, params) in enumerate(calls)
    ]
    twice = '{"action": "a", "title": "t", "payload": {"cost": 10, "cost": 10000}}'
    messages.insert(1, {"jsonrpc": "2.0", "method": "notifications/initialized"})
    command = [str(COMMAND), "--url", server.url, "--token", server.tokens["engine"]]
    with subprocess.Popen(
        [*command, "mcp", "--user", "ada"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("no JSON\n" + "".join(json.dumps(each) + "\n" for each in messages))
        process.stdin.write(
            '{"jsonrpc": "2.0", "id": 4, "method": "tools/call", "params":'
            f' {{"name": "request_approval", "arguments": {twice}}}}}\n'
        )
        process.stdin.flush()
        answers: dict[int, Any] = {}
        while len(answers) < len(calls) + 1:
            answer = json.loads(process.stdout.readline())
            assert answer["jsonrpc"] == "2.0"
            if (number := answer.get("id")) is not None:
                answers[number] = answer
        rest, _ = process.communicate(timeout=60)
    assert (process.returncode, rest) == (0, "")
    assert answers[0]["result"]["serverInfo"]["name"] == "placet"
    assert answers[1]["result"]["isError"]
    assert "error" in answers[3]
    # People would see the second value, and somebody else the first.
    assert answers[4]["error"] == {
        "code": -32600,
        "message": "the message has an object with the name 'cost' twice; give each name once",
    }
