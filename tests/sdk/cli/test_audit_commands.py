"""What auditors and deciders of many see in a terminal, and in files."""

import csv
import io
import json
import os
import pty
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from placet import Approval, ApprovalStatus, require
from placet.cli.app import app
from placet.cli.fields import fields
from placet.cli.lookup import short_ids
from placet.cli.terminal import print_csv
from tests.sdk.cli.test_cli import NO_ONE, placet
from tests.sdk.people import People, Server
from tests.support.moments import moment_after


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


def inside(*arguments: str, stdin: str = "") -> Done:
    """Run the command in this process, which is faster; in a thread with its own event loop."""
    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(CliRunner().invoke, app, arguments, input=stdin).result()
    return Done(result.exit_code, result.stdout, result.stderr)


def in_terminal(width: int, *arguments: str, answer: str = "") -> str:
    """Run the command in a terminal of this width, and answer its question."""
    code = "from placet.cli import main; main()"
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ |= {"TERM": "dumb", "COLUMNS": str(width), "LINES": "1000"}
        os.execv(sys.executable, [sys.executable, "-c", code, *arguments])
    shown = b""
    while True:
        try:
            part = os.read(terminal, 65_536)
        except OSError:
            break
        if not part:
            break
        shown += part
        if b"[y/N]" in part:
            os.write(terminal, answer.encode() + b"\n")
    os.waitpid(pid, 0)
    os.close(terminal)
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode()).replace("\r\n", "\n")


async def ask(people: People, workflow: str, *titles: str) -> list[Approval]:
    engine, operator = await people.get("engine"), await people.get("operator")
    asked = []
    for title in titles:
        started = await operator.start(workflow, on_behalf_of="employee")
        found = await engine.request_approval(
            started.id, "pay", title, payload={"euros": 12}, policy=require(group="finance")
        )
        assert found.approval is not None
        await engine.approvals(at_least=found.position, first=1)
        asked.append(found.approval)
    return asked


async def test_several_are_decided_with_one_question_and_each_has_its_result(
    people: People, server: Server
) -> None:
    at = ("--url", server.url, "--token", server.tokens["approver-a"])
    first, second, third = await ask(people, f"many-{uuid4()}", "One", "Two 二", "Three")
    begin = [each.id[:13] for each in (first, second)]
    said = in_terminal(60, *at, "approve", *begin, answer="n")
    assert said.index("  One\n  Two 二\nGrant these 2? [y/N]") > said.index("1 of 2")
    assert "Aborted" in said
    done = in_terminal(60, *at, "approve", *begin, answer="y")
    assert "One: GRANTED\nTwo 二: GRANTED\n2 of 2 decided" in done
    again = inside(*at, "reject", second.id, third.id, "--comment", "no", "--yes")
    assert again.returncode == 1
    assert "Two 二: refused: " in again.stdout
    assert "Three: REJECTED" in again.stdout
    assert "1 of 2 decided" in again.stdout


async def test_a_list_has_the_title_first_in_any_width(people: People, server: Server) -> None:
    at = ("--url", server.url, "--token", server.tokens["approver-a"])
    workflow = f"list-{uuid4()}"
    long = "Trip to Eindhoven for the annual meeting of the department of mathematics"
    [asked, _] = await ask(people, workflow, long, "出張の承認をお願いします " * 4)
    for width in (60, 80, 120):
        shown = in_terminal(width, *at, "approvals", "--workflow", workflow)
        assert max(map(len, shown.splitlines())) <= width
        flat = " ".join(shown.split())
        assert "Trip to Eindhoven" in flat
        assert "operator for employee" in flat
        assert asked.id[:8] in flat
        assert flat.endswith("2 approvals")
    listed = inside(*at, "approvals", "--workflow", workflow, "--first", "1")
    assert listed.stdout.endswith("\n1 of 2 approvals\n")
    assert listed.stderr.startswith("There are more: --after ")


async def test_output_is_shown_in_encodings_without_some_characters(
    people: People, server: Server
) -> None:
    at = ("--url", server.url, "--token", server.tokens["approver-a"])
    workflow = f"encoding-{uuid4()}"
    await ask(people, workflow, "Größe 二")
    for encoding, shown in (("ascii", "Gr??e ?"), ("cp437", "Größe ?")):
        told = placet(*at, "approvals", "--workflow", workflow, PYTHONIOENCODING=encoding)
        assert told.returncode == 0, told.stderr
        assert shown in told.stdout


async def test_an_auditor_asks_who_decided_what_and_what_waited_when(
    people: People, server: Server
) -> None:
    at = ("--url", server.url, "--token", server.tokens["auditor"])
    workflow = f"audit-{uuid4()}"
    [approval] = await ask(people, workflow, "=1+1")
    then = (await moment_after(approval.requested_at)).isoformat()
    approver = await people.get("approver-a")
    done = await approver.grant(approval, comment='"fine", @all')
    auditor = await people.get("auditor")
    await auditor.recorded_decisions(first=1, at_least=done.position)

    waiting = inside(*at, "approvals", "--workflow", workflow, "--at", then)
    assert "=1+1" in waiting.stdout
    assert "needs 1 of finance" in waiting.stdout
    assert (
        "No such approval" in inside(*at, "approvals", "--workflow", workflow, "--at", "now").stderr
    )
    wrong = inside(*at, "approvals", "--at", "yesterday")
    assert wrong.returncode == 2
    assert "is not a moment" in wrong.stderr

    listed = inside(*at, "decisions", "--workflow", workflow).stdout
    assert "GRANTED" in listed
    assert "approver-a, group:finance" in listed
    table = inside(*at, "decisions", "--workflow", workflow, "--csv").stdout
    [head, row] = list(csv.reader(io.StringIO(table, newline="")))
    decision = dict(zip(head, row, strict=True))
    assert decision["title"] == "'=1+1"
    assert decision["comment"] == '"fine", @all'
    assert decision["approval"] == approval.id
    assert float(decision["seconds taken"]) >= 0

    asked = ("events", "--workflow", workflow, "--csv", "--type", "ApprovalGranted")
    events = inside(*at, *asked, "--by", "approver-a", "--since", "1h", "--until", "now").stdout
    [_, event] = list(csv.reader(io.StringIO(events, newline="")))
    assert event[2:6] == ["ApprovalGranted", approval.execution_id, event[4], "approver-a"]
    assert inside(*at, *asked, "--by", "approver-b").stdout.count("\n") == 1


async def test_an_auditor_tries_another_policy_on_the_past(people: People, server: Server) -> None:
    at = ("--url", server.url, "--token", server.tokens["auditor"])
    workflow = f"tried-{uuid4()}"
    first, approval = await ask(people, workflow, "One", "Two")
    approver = await people.get("approver-a")
    await approver.grant(first)
    done = await approver.grant(approval)
    auditor = await people.get("auditor")
    await auditor.approvals(at_least=done.position, first=1)

    same = await auditor.simulate_policy(workflow, require(group="finance"))
    assert (same.examined, same.different, same.changes) == (2, 0, [])
    stricter = await auditor.simulate_policy(workflow, require(2, group="finance"), key="pay")
    assert (stricter.examined, stricter.different) == (2, 2)
    assert {each.status_with for each in stricter.changes} == {ApprovalStatus.PENDING}

    tried = ("simulate", workflow, "--since", "1h", "--policy")
    two = '{"requirements": [{"count": 2, "groups": ["finance"]}]}'
    shown = inside(*at, *tried, two).stdout
    assert f"Two  {approval.id}\n" in shown
    assert "  GRANTED, with it PENDING: " in shown
    assert shown.endswith("2 of 2 would have ended otherwise\n")
    assert json.loads(inside(*at, *tried, two, "--json").stdout)["different"] == 2
    wrong = inside(*at, *tried, '{"requirements": 2}')
    assert wrong.returncode == 2
    assert "Expected `array`" in wrong.stderr


async def test_what_was_done_to_an_execution_is_shown_with_who_did_it(
    people: People, server: Server
) -> None:
    at = ("--url", server.url, "--token", server.tokens["operator"])
    [approval] = await ask(people, f"done-{uuid4()}", "Pay")
    approver, operator = await people.get("approver-a"), await people.get("operator")
    engine = await people.get("engine")
    await approver.grant(approval, comment="two\nlines")
    await engine.start_child(approval.execution_id, "flight", "book")
    await operator.cancel(approval.execution_id, "no longer wanted")
    shown = inside(*at, "show", approval.execution_id[:13]).stdout
    assert "    GRANTED by approver-a, " in shown
    assert "    | two\n    | lines\n" in shown
    assert "cancelled by operator, " in shown
    assert ": no longer wanted\n" in shown
    assert "  child flight: " in shown


def test_who_one_is_and_which_version(server: Server) -> None:
    at = ("--url", server.url, "--token", server.tokens["approver-a"])
    told = inside(*at, "whoami").stdout
    assert told.startswith("approver-a\nRoles       APPROVER\nGroups      finance, managers\n")
    assert server.url in told
    assert re.fullmatch(r"placet \d+\.\d+\.\d+\S*\n", placet("--version").stdout)


def test_an_input_may_stand_in_a_file(server: Server, tmp_path: Path) -> None:
    at = ("--url", server.url, "--token", server.tokens["operator"])
    given = tmp_path / "input.json"
    given.write_text('{"to": "Zürich"}', encoding="utf-8")
    for input_, stdin in ((f"@{given}", None), ("@-", '{"to": "Zürich"}')):
        id_ = placet(*at, "start", "trip", "--input", input_, stdin=stdin or "").stdout.strip()
        assert "  to  Zürich\n" in inside(*at, "show", id_).stdout
    missing = inside(*at, "start", "trip", "--input", "@nowhere.json")
    assert missing.returncode == 2
    assert "No such file" in missing.stderr


def test_an_agent_server_with_a_wrong_token_or_address_says_so_at_once(server: Server) -> None:
    pytest.importorskip("mcp")
    away = inside("--url", NO_ONE, "--token", "t", "mcp", "--group", "finance")
    assert (away.returncode, away.stdout) == (1, "")
    assert away.stderr.startswith(f"placet: no answer from {NO_ONE}/graphql")
    wrong = inside("--url", server.url, "--token", "wrong", "mcp", "--group", "finance")
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert "the token is missing, unknown" in wrong.stderr


def test_short_ids_are_unique_among_what_is_listed() -> None:
    ids = ["0190f1a6-0000-7000-8000-000000000001.1", "0190f1a6-0000-7000-8000-000000000001.2"]
    ids += ["0190f1a6-0000-7000-8000-000000000021.1", "a190f1a6-0000-7000-8000-000000000001.1"]
    short = short_ids(ids)
    assert len(set(short.values())) == len(ids)
    assert short[ids[3]] == "a190f1a6.1"
    assert all(each.startswith(short[each].partition(".")[0]) for each in ids)


def test_fields_show_everything_and_pass_for_nothing_else() -> None:
    value = {
        "amount": 10,
        "as text": "10",
        "": None,
        "lines": [{"item": "night", "price": 1}, {"item": "二", "price": 2}],
        "note": "one\nDigest  forged",
        "list": [["a"], {}],
    }
    assert list(fields(value)) == [
        "amount   10",
        'as text  "10"',
        '""       null',
        "lines",
        "  item   price",
        "  night  1",
        "  二     2",
        "note",
        "  | one",
        "  | Digest  forged",
        "list",
        "  -",
        "    -  a",
        "  -  {}",
    ]
    deep: object = "bottom"
    for _ in range(200):
        deep = {"level": deep}
    assert max(map(len, fields(deep))) < 80


def test_csv_is_as_rfc_4180_has_it(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    print_csv([["a,b", 'c"d', "e\nf", None, True, -1.5, "-1", "\uff1dx"]])
    written = capfdbinary.readouterr().out
    assert written == '"a,b","c""d","e\nf",,true,-1.5,\'-1,\'\uff1dx\r\n'.encode()
