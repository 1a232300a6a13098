"""The command ``placet`` as a process."""

import json
import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from placet import ApprovalStatus, Policy, Run, require
from tests.sdk.engines import Made, started
from tests.sdk.people import People, Server
from tests.support.forked import PLACET, run
from tests.support.patience import HANGS

NO_ONE = "http://127.0.0.1:9"


def placet(
    *arguments: str, stdin: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    return run(PLACET, *arguments, env=os.environ | environment, stdin=stdin)


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


def test_who_and_where_may_stand_after_the_command(tmp_path: Path) -> None:
    (tmp_path / "dev-tokens.json").write_text('{"operator": "t"}')
    result = placet(
        "--as", "operator", "approve", "x", "--yes", "--as", "nobody", "--data", str(tmp_path)
    )
    assert result.returncode == 1
    assert "has no token for 'nobody'; it has: operator" in result.stderr
    result = placet("--url", "http://127.0.0.1:8", "executions", "--token", "t", "--url", NO_ONE)
    assert result.returncode == 1
    assert result.stderr.startswith(f"placet: no answer from {NO_ONE}/graphql")
    # What a command takes itself is its own, whatever it looks like.
    result = placet("reject", "x", "--comment", "--as", "--token", "t", "--url", NO_ONE)
    assert result.stderr.startswith(f"placet: no answer from {NO_ONE}/graphql")


def test_a_name_outweighs_a_token_wherever_it_stands(tmp_path: Path) -> None:
    (tmp_path / "dev-tokens.json").write_text("{}")
    data = ("--data", str(tmp_path))
    for arguments in (
        ("--token", "t", *data, "--as", "ann", "executions"),
        ("--token", "t", *data, "executions", "--as", "ann"),
    ):
        assert "has no token for 'ann'" in placet(*arguments).stderr


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
    # The command line reads the read models as they are.
    await engine.executions(first=1, at_least=asked.position)
    await engine.approvals(first=1, at_least=asked.position)

    assert execution_id[:8] in run("operator", "executions", "--workflow", "trip")
    listed = run("approver-a", "approvals", "--json", "--first", "500")
    pending = [json.loads(line) for line in listed.splitlines()]
    assert approval_id in [each["id"] for each in pending]
    shown = run("approver-a", "show", approval_id)
    assert shown.startswith("A trip\nAsked by    operator, ")
    assert "  cost  12.5\n" in shown
    assert asked.approval.digest in run("approver-a", "show", approval_id, "--raw")
    assert "GRANTED" in run("approver-a", "approve", approval_id, "--comment", "fine", "--yes")
    assert "GRANTED" in run("operator", "show", execution_id)
    told = run("auditor", "events", "--execution", execution_id)
    assert told.index("ApprovalRequested") < told.index("ApprovalGranted")
    approval = await engine.approval(approval_id)
    assert approval is not None
    assert approval.status is ApprovalStatus.GRANTED


async def test_an_approval_is_talked_about_taken_back_and_revoked(
    people: People, server: Server
) -> None:
    def run(name: str, *arguments: str) -> str:
        result = placet("--url", server.url, "--token", server.tokens[name], *arguments)
        assert (result.returncode, result.stderr) == (0, "")
        return result.stdout

    engine, approver = await people.get("engine"), await people.get("approver-a")
    policy = require(2, group="finance").then(require(group="legal"))
    policy = policy.expires(timedelta(days=2), on_expiry="ESCALATE", escalate_to=["managers"])
    execution_id = await people.start("talk")

    async def asked(key: str, policy: Policy) -> str:
        found = await engine.request_approval(
            execution_id, key, "A trip", payload={"cost": 12.5}, policy=policy
        )
        assert found.approval is not None
        return found.approval.id

    staged = await asked("staged", policy)
    await approver.claim_approval(staged)
    assert run("approver-b", "comment", staged, "by train?") == "commented\n"
    assert run("approver-a", "approve", staged, "--yes").splitlines()[-1].startswith("PENDING")
    shown = run("approver-b", "show", staged)
    assert "Stage       1 of 2\n" in shown
    assert ", then managers may decide too\n" in shown
    assert "Claimed     by approver-a\n" in shown
    assert "comment by approver-b, " in shown
    assert "  | by train?\n" in shown
    run("approver-b", "claim", staged)
    assert "Claimed     by approver-b\n" in run("operator", "show", staged)
    assert run("approver-b", "unclaim", staged) == "not claimed any more\n"
    assert run("approver-b", "delegate", staged, "zoe", "--comment", "away") == "zoe decides now\n"
    listed = run("operator", "delegate", staged)
    assert listed.startswith("handed over by approver-b to zoe, ")
    assert "  | away\n" in listed
    assert listed.splitlines()[0] in run("operator", "show", staged)
    assert run("approver-b", "delegate", staged, "--take-back") == "taken back; you can decide\n"
    assert "(taken back)" in run("operator", "delegate", staged)
    assert run("approver-a", "retract", staged) == "taken back; you can decide anew\n"
    assert "(taken back)" in run("approver-b", "show", staged)
    changes = ("request-changes", staged, "--comment", "cheaper", "--yes")
    assert run("approver-a", *changes).splitlines()[-1] == "CHANGES_REQUESTED"

    plain = await asked("plain", require(group="finance"))
    run("approver-a", "approve", plain, "--yes")
    assert run("operator", "revoke", plain, "--reason", "off") == "revoked\n"
    assert "Status      REVOKED\n" in run("operator", "show", plain)


async def test_a_payload_is_amended_and_the_change_is_shown(
    people: People, server: Server, tmp_path: Path
) -> None:
    def run(name: str, *arguments: str) -> Any:
        return placet("--url", server.url, "--token", server.tokens[name], *arguments)

    engine = await people.get("engine")
    policy = require(2, group="finance", amendable=True)
    asked = await engine.request_approval(
        await people.start("amend"),
        "go",
        "A trip",
        payload={"cost": 12.5, "to": "Bonn"},
        policy=policy,
    )
    assert asked.approval is not None
    id_ = asked.approval.id
    cheaper = tmp_path / "cheaper.json"
    cheaper.write_text('{"cost": 9, "to": "Bonn"}', encoding="utf-8")
    run("approver-a", "approve", id_, "--yes")

    for wrong in ("{", "@nowhere.json", "null", '{"to": "Bonn", "cost": 12.5}'):
        refused = run("approver-b", "approve", id_, "--amend", wrong, "--yes")
        assert (refused.returncode, "--amend" in refused.stderr) == (2, True)
    amended = run("approver-b", "approve", id_, "--amend", f"@{cheaper}", "--yes")
    assert (amended.returncode, amended.stderr) == (0, "")
    change = amended.stdout.partition("You change the payload:\n")[2]
    assert '  -  "cost": 12.5,\n  +  "cost": 9,\n     "to": "Bonn"\n' in change
    assert "no longer count: approver-a\n" in change
    shown = run("approver-a", "show", id_).stdout
    assert "(no longer counts: the payload was amended since)" in shown
    assert "amended by approver-b, " in shown
    assert "  | replace /cost 9\n" in shown


async def test_who_may_not_decide_is_told_why(people: People, server: Server) -> None:
    engine = await people.get("engine")
    execution_id = await people.start("trip")
    await engine.request_approval(
        execution_id, "go", "T", payload={}, policy=require(group="legal")
    )
    [approval] = await people.pending(execution_id)
    token = server.tokens["approver-a"]
    result = placet("--url", server.url, "--token", token, "approve", approval.id, "--yes")
    assert result.returncode == 1
    assert result.stderr == f"placet: there is no approval '{approval.id}' that you may see\n"


async def test_who_names_the_execution_is_told_of_its_open_approvals(
    people: People, server: Server
) -> None:
    engine = await people.get("engine")
    id_ = await people.start("trip")
    for key in ("fly", "stay"):
        asked = await engine.request_approval(
            id_, key, f"To {key}", payload={}, policy=require(group="finance")
        )
        await engine.approvals(at_least=asked.position, first=1)
    token = server.tokens["approver-a"]
    for command in (("approve", id_), ("reject", id_, "--comment", "no")):
        result = placet("--url", server.url, "--token", token, *command)
        assert result.returncode == 1
        assert result.stderr == (
            f"placet: '{id_}' is an execution; what is decided on is an approval of it:"
            f" {id_}.1 (To fly), {id_}.2 (To stay)\n"
        )
    result = placet("--url", server.url, "--token", token, "approve", "nonsense")
    assert result.stderr == "placet: there is no approval 'nonsense' that you may see\n"


async def test_what_is_shown_is_the_whole_document_and_nothing_that_a_terminal_obeys(
    people: People, server: Server
) -> None:
    operator, engine = await people.get("operator"), await people.get("engine")
    started = await operator.start("trip", on_behalf_of="tom")
    assert started.execution is not None
    asked = await engine.request_approval(
        started.execution.id,
        "pay",
        "Pay 10 euros\x1b[8m",
        payload={"\u202eeuros": 10},
        description="first line\nDigest:     forged",
        policy=require(group="finance").rejections(5).allow_initiator(),
    )
    assert asked.approval is not None
    token = server.tokens["approver-a"]
    at = ("--url", server.url, "--token", token)
    shown = placet(*at, "show", asked.approval.id).stdout
    for part in (
        "operator for tom",
        "rejections      5",
        "allowInitiator  true",
        "Key         pay",
    ):
        assert part in shown
    # Each line of a text stands behind a bar, so none can pass for one of ours.
    assert "| Digest:     forged" in shown
    raw = placet(*at, "show", asked.approval.id, "--raw").stdout
    for text in (shown, raw):
        assert "\x1b" not in text
        assert "\u202e" not in text
    [digest] = [line for line in raw.splitlines() if line.startswith("Digest")]
    assert digest.endswith(asked.approval.digest)
    # There is no terminal to ask at, and nobody said yes.
    decided = placet(*at, "approve", asked.approval.id)
    assert decided.returncode == 2
    assert "--yes" in decided.stderr
    assert (await engine.approval(asked.approval.id)).status is ApprovalStatus.PENDING  # type: ignore[union-attr]


async def test_what_an_execution_waits_for_is_shown(people: People, server: Server) -> None:
    def waited(id_: str) -> str:
        options = ("--url", server.url, "--token", server.tokens["operator"])
        shown = placet(*options, "show", id_)
        assert shown.returncode == 0, shown.stderr
        found = shown.stdout.partition("Waits for:\n")[2]
        return found.partition("\n\n")[0]

    id_ = await people.start("trip")
    assert waited(id_) == "  an engine on the queue default to begin with it"
    operator, engine = await people.get("operator"), await people.get("engine")
    asked = await engine.request_approval(
        id_, "go", "A trip", payload={}, policy=require(2, group="finance")
    )
    assert asked.approval is not None
    soon, later = (datetime(2100, 1, day, 12, tzinfo=UTC) for day in (1, 2))
    await engine.set_timer(id_, "remind", until=soon)
    await engine.set_timer(id_, "give-up", until=later)
    await engine.cancel_timer(id_, "remind")
    child = await engine.start_child(id_, "flight", "book")
    assert child.execution is not None
    await operator.signal(id_, "ticket", {"gate": 7})
    lines = waited(id_).splitlines()
    assert lines[0] == f"  approval {asked.approval.id}: 2 of finance"
    assert lines[1].startswith(f"  timer give-up: {later.astimezone():%Y-%m-%d %H:%M:%S} ")
    assert lines[2].startswith("  child flight: ")
    assert lines[2].endswith(", book")
    shown = placet("--url", server.url, "--token", server.tokens["operator"], "show", id_)
    assert '  signal ticket: {"gate": 7}' in shown.stdout
    await engine.park(id_, "changed")
    assert waited(id_).splitlines()[3] == f"  a person to let it go on: placet unpark {id_}"
    await operator.cancel(id_, "done")
    assert waited(id_) == ""


async def test_an_execution_that_waits_for_a_signal_is_shown_so(
    people: People, server: Server, engine: Made
) -> None:
    async with engine() as works:

        @works.workflow
        async def boarding(run: Run) -> Any:
            return await run.signal("ticket")

        id_ = await started(people, works, "boarding")
        operator = await people.get("operator")
        await operator.wait(id_, until=lambda execution: execution.asleep, timeout=HANGS)
        shown = placet("--url", server.url, "--token", server.tokens["operator"], "show", id_)
    assert "  a signal, of a name that the workflow alone knows\n" in shown.stdout


def test_input_that_is_no_json_of_the_service_is_told_in_a_line(server: Server) -> None:
    at = ("--url", server.url, "--token", server.tokens["operator"] + "\n")
    for given in ("NaN", '{"a": 1e400}'):
        failed = placet(*at, "start", "w", "--input", given)
        assert failed.returncode == 1
        assert failed.stderr.startswith("placet: input is not JSON")


def test_json_with_a_name_twice_is_refused(server: Server) -> None:
    at = ("--url", server.url, "--token", server.tokens["operator"])
    twice = '{"cost": 10, "cost": 10000}'
    for command in (("start", "w", "--input"), ("signal", str(uuid4()), "go", "--payload")):
        failed = placet(*at, *command, twice)
        assert failed.returncode == 2
        assert "has an object with the name 'cost' twice" in " ".join(failed.stderr.split())


def test_states_may_be_written_small(server: Server) -> None:
    at = ("--url", server.url, "--token", server.tokens["operator"])
    for command in (("executions", "--state", "failed"), ("approvals", "--status", "pending")):
        assert placet(*at, *command).returncode == 0


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "nonsense", "http://", "ftp://127.0.0.1"])
def test_an_address_that_is_none_is_said_to_be(url: str) -> None:
    failed = placet("--url", url, "--token", "t", "executions")
    assert failed.returncode == 1
    assert failed.stderr == (
        f"placet: a service's address is a URL such as http://127.0.0.1:8000, not {url!r}\n"
    )


def test_a_service_that_is_away_or_elsewhere_is_said_to_be(server: Server) -> None:
    away = placet("--url", NO_ONE, "--token", "t", "executions")
    assert away.stderr == f"placet: no answer from {NO_ONE}/graphql: Connection refused\n"
    token = server.tokens["operator"]
    elsewhere = placet("--url", f"{server.url}/foo", "--token", token, "executions")
    assert f"{server.url}/foo/graphql answered HTTP 404" in elsewhere.stderr
    wrong = placet("--url", server.url, "--token", "wrong", "executions")
    assert "the token is missing, unknown, revoked or has expired" in wrong.stderr
    assert "give another one with --token, PLACET_TOKEN or --as" in wrong.stderr


def test_without_development_tokens_it_says_where_they_are(tmp_path: Path) -> None:
    failed = placet("--data", str(tmp_path), "--as", "operator", "executions")
    assert failed.stderr == (
        f"placet: no development tokens in {tmp_path / 'dev-tokens.json'}"
        " (No such file or directory):"
        " --data names the directory that the server was started with\n"
    )


async def test_what_is_resolved_misses_nobody(people: People, server: Server) -> None:
    id_ = await people.start("travel")
    engine = await people.get("engine")
    asked = await engine.request_approval(
        id_, "permit", "Trip", payload={}, policy=require(1, group="finance")
    )
    assert asked.approval is not None
    at = ("--url", server.url, "--token", server.tokens["approver-a"])
    assert "1 of finance" in placet(*at, "show", asked.approval.id).stdout
    await engine.withdraw(asked.approval.id, "too late")
    shown = placet(*at, "show", asked.approval.id).stdout
    assert "WITHDRAWN" in shown
    assert "Needs" not in shown
