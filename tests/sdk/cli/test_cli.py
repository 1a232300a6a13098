"""The command ``placet`` as a process."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from placet import ApprovalStatus, ExecutionState, Run, require
from tests.sdk.engines import Made, started
from tests.sdk.people import SECONDS, People, Server, until

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

    assert execution_id in run("operator", "executions", "--workflow", "trip")
    listed = run("approver-a", "approvals", "--json", "--first", "500")
    pending = [json.loads(line) for line in listed.splitlines()]
    assert approval_id in [each["id"] for each in pending]
    shown = run("approver-a", "show", approval_id)
    assert '"cost": 12.5' in shown
    assert asked.approval.digest in shown
    assert "GRANTED" in run("approver-a", "approve", approval_id, "--comment", "fine", "--yes")
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
        '"onBehalfOf": "tom"',
        '"rejections": 5',
        '"allowInitiator": true',
        '"key": "pay"',
    ):
        assert part in shown
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    [digest] = [line for line in shown.splitlines() if line.startswith("Digest:")]
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
        return shown.stdout.partition("Waits for:\n")[2]

    id_ = await people.start("trip")
    assert waited(id_) == "  an engine on the queue default to begin with it\n"
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
    assert lines[1] == f"  timer give-up: {later.astimezone():%Y-%m-%d %H:%M:%S}"
    assert lines[2].startswith("  child flight: ")
    assert lines[2].endswith(", book")
    assert len(lines) == 3
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
        await operator.wait(id_, until=lambda execution: execution.asleep, timeout=SECONDS)
        shown = placet("--url", server.url, "--token", server.tokens["operator"], "show", id_)
    assert shown.stdout.endswith("  a signal, of a name that the workflow alone knows\n")


def test_input_that_is_no_json_of_the_service_is_told_in_a_line(server: Server) -> None:
    at = ("--url", server.url, "--token", server.tokens["operator"] + "\n")
    for given in ("NaN", '{"a": 1e400}'):
        failed = placet(*at, "start", "w", "--input", given)
        assert failed.returncode == 1
        assert failed.stderr.startswith("placet: input is not JSON")


async def test_what_is_parked_is_listed_and_let_go_and_signals_are_sent(
    people: People, server: Server
) -> None:
    def run(*arguments: str) -> str:
        options = ("--url", server.url, "--token", server.tokens["operator"])
        result = placet(*options, *arguments)
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()

    id_ = await people.start("travel")
    operator, engine = await people.get("operator"), await people.get("engine")
    parked = await engine.park(id_, "step 'a-1' was expected")
    await operator.executions(at_least=parked.position, first=1)

    listed = [json.loads(line) for line in run("executions", "--parked", "--json").splitlines()]
    assert id_ in {each["id"] for each in listed}
    assert "step 'a-1' was expected" in run("show", id_)
    assert run("unpark", id_) == "unparked"
    assert run("unpark", id_) == "not parked any more"
    ticket = ("signal", id_, "ticket", "--payload", '{"gate": 7}', "--key", "k")
    assert (
        run(*ticket) == "sent; it is kept until the workflow waits for 'ticket', if it does not yet"
    )
    assert run(*ticket) == "repeated: it was sent under this key before"
    await engine.park(id_, "step 'a-2' was expected")
    assert run("signal", id_, "ticket").startswith(
        "sent; it is kept, since the execution is parked"
    )


OF_EXECUTIONS = (
    ("signal", "{}", "ticket"),
    ("unpark", "{}"),
    ("retry", "{}"),
    ("cancel", "{}", "--reason", "no"),
    ("transcript", "{}"),
    ("events", "--execution", "{}"),
)


async def test_who_names_what_is_no_execution_is_told_so(people: People, server: Server) -> None:
    engine = await people.get("engine")
    id_ = await people.start("trip")
    await engine.request_approval(id_, "fly", "To fly", payload={}, policy=require(group="finance"))
    at = ("--url", server.url, "--token", server.tokens["operator"])
    for command in OF_EXECUTIONS:
        failed = placet(*at, *(part.format("trip-7") for part in command))
        assert failed.returncode == 1
        assert failed.stderr == "placet: there is no execution 'trip-7' that you may see\n"
    for command in OF_EXECUTIONS[-2:]:
        failed = placet(*at, *(part.format(f"{id_}.1") for part in command))
        assert failed.returncode == 1
        assert failed.stderr == f"placet: '{id_}.1' is an approval; its execution is {id_}\n"


async def test_a_list_that_is_cut_off_says_how_to_go_on(people: People, server: Server) -> None:
    workflow = f"long-{uuid4()}"
    started = {await people.start(workflow) for _ in range(3)}
    command = ["--url", server.url, "--token", server.tokens["operator"], "executions", "--json"]
    command += ["--workflow", workflow, "--first", "2"]

    async def all_there() -> list[str] | None:
        page = placet(*command)
        return [page.stdout, page.stderr] if page.stderr else None

    listed, hint = await until(all_there)
    said, _, cursor = hint.rstrip().rpartition(" ")
    assert said == "There are more: --after"
    rest = placet(*command, "--after", cursor)
    assert rest.stderr == ""
    rows = [json.loads(line)["id"] for line in (listed + rest.stdout).splitlines()]
    assert (len(rows), set(rows)) == (3, started)


@pytest.mark.parametrize(
    ("who", "command", "said"),
    [
        ("admin", ["approvals"], "Nothing waits for your decision; --all shows what else"),
        ("operator", ["approvals", "--status", "expired"], "No such approval that you may see."),
        ("operator", ["executions", "--workflow", "none"], "No such execution that you may see."),
    ],
)
def test_a_list_of_nothing_says_so(server: Server, who: str, command: list[str], said: str) -> None:
    listed = placet("--url", server.url, "--token", server.tokens[who], *command)
    assert (listed.returncode, listed.stdout) == (0, "")
    assert listed.stderr.startswith(said)
    as_json = placet("--url", server.url, "--token", server.tokens[who], *command, "--json")
    assert (as_json.stdout, as_json.stderr) == ("", "")


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


def test_without_development_tokens_it_says_where_they_are(tmp_path: Path) -> None:
    failed = placet("--data", str(tmp_path), "--as", "operator", "executions")
    assert failed.stderr == (
        f"placet: no development tokens in {tmp_path / 'dev-tokens.json'}"
        " (No such file or directory):"
        " --data names the directory that the server was started with\n"
    )


async def test_executions_are_cancelled_and_failed_ones_run_on(
    people: People, server: Server
) -> None:
    at = ("--url", server.url, "--token", server.tokens["operator"])

    def run(*arguments: str) -> str:
        result = placet(*at, *arguments)
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()

    engine, operator = await people.get("engine"), await people.get("operator")
    id_ = await people.start("travel")
    await engine.fail(id_, "no seats")
    assert run("retry", id_) == "it runs on"
    assert run("cancel", id_, "--reason", "not needed") == "cancelled"
    assert run("cancel", id_, "--reason", "not needed") == "cancelled (it was already)"
    execution = await operator.execution(id_)
    assert execution is not None
    assert execution.state is ExecutionState.CANCELLED
    unknown = placet(*at, "retry", str(UUID(int=7)))
    assert "there is no execution" in unknown.stderr


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
    assert "finance" not in shown.partition("Document:")[0]
