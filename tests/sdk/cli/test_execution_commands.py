"""The commands about executions, and lists."""

import json
from uuid import UUID, uuid4

import pytest

from placet import ExecutionState, require
from tests.sdk.cli.test_cli import placet
from tests.sdk.people import People, Server, until


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
    assert "step 'a-1' was expected" in run("executions", "--parked")
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


async def test_an_operator_pauses_an_execution_and_sees_why_it_is_parked(
    people: People, server: Server
) -> None:
    def run(*arguments: str) -> str:
        options = ("--url", server.url, "--token", server.tokens["operator"])
        result = placet(*options, *arguments)
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()

    id_ = await people.start("travel")
    assert run("park", id_, "--reason", "the rates are wrong") == "parked"
    assert run("park", id_, "--reason", "again") == "parked already: the rates are wrong"
    assert "the rates are wrong" in run("show", id_)
    assert run("unpark", id_) == "unparked"


OF_EXECUTIONS = (
    ("signal", "{}", "ticket"),
    ("park", "{}", "--reason", "no"),
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
