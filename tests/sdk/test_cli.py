"""The command ``placet`` as a process."""

import json
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest

from placet import ApprovalStatus, require
from tests.sdk.people import People, Server

NO_ONE = "http://127.0.0.1:9"


def placet(*arguments: str) -> subprocess.CompletedProcess[str]:
    code = "from placet.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.parametrize(
    "arguments", [["start", "w", "--input", "{"], ["reject", "x"], ["nonsense"], ["approve"]]
)
def test_wrong_usage_is_exit_code_2(arguments: list[str]) -> None:
    result = placet("--url", NO_ONE, "--token", "t", *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert "Error" in result.stderr


def test_an_error_is_one_line_and_exit_code_1() -> None:
    result = placet("--url", NO_ONE, "--token", "t", "executions")
    assert result.returncode == 1
    assert result.stderr.startswith(f"placet: no answer from {NO_ONE}/graphql")
    assert result.stderr.count("\n") == 1


def test_without_a_token_it_says_how_to_give_one() -> None:
    result = placet("executions")
    assert result.returncode == 1
    assert "--token or PLACET_TOKEN" in result.stderr


def test_a_name_is_looked_up_among_the_development_tokens(tmp_path: Path) -> None:
    (tmp_path / "dev-tokens.json").write_text('{"operator": "t"}')
    result = placet("--data", str(tmp_path), "--as", "nobody", "executions")
    assert result.returncode == 1
    assert "has no token for 'nobody'; it has: operator" in result.stderr


async def test_an_approval_is_found_shown_and_granted(people: People, server: Server) -> None:
    def run(name: str, *arguments: str) -> str:
        result = placet("--url", server.url, "--token", server.tokens[name], *arguments)
        assert (result.returncode, result.stderr) == (0, "")
        return result.stdout

    engine = await people.get("engine")
    execution_id = run("operator", "start", "trip", "--input", '{"to": "Eindhoven"}').strip()
    UUID(execution_id)
    asked = await engine.request_approval(
        execution_id, "go", "A trip", payload={"cost": 12.5}, policy=require(group="finance")
    )
    assert asked.approval is not None
    approval_id = asked.approval.id

    assert execution_id in run("operator", "executions", "--workflow", "trip")
    pending = [json.loads(line) for line in run("approver-a", "approvals", "--json").splitlines()]
    assert approval_id in [each["id"] for each in pending]
    shown = run("approver-a", "show", approval_id)
    assert '"cost": 12.5' in shown
    assert asked.approval.digest in shown
    assert "GRANTED" in run("approver-a", "approve", approval_id, "--comment", "fine")
    assert "GRANTED" in run("operator", "show", execution_id)
    told = run("auditor", "events", "--execution", execution_id)
    assert told.index("ApprovalRequested") < told.index("ApprovalGranted")
    approval = await engine.approval(approval_id)
    assert approval is not None
    assert approval.status is ApprovalStatus.GRANTED


async def test_who_may_not_decide_is_told_why(people: People, server: Server) -> None:
    engine = await people.get("engine")
    execution_id = await people.start("trip")
    await engine.request_approval(
        execution_id, "go", "T", payload={}, policy=require(group="legal")
    )
    [approval] = await people.pending(execution_id)
    token = server.tokens["approver-a"]
    result = placet("--url", server.url, "--token", token, "approve", approval.id)
    assert result.returncode == 1
    assert result.stderr == f"placet: there is no approval '{approval.id}' that you may see\n"
