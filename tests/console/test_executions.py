"""The list of executions, the page of one, and what operators do there, without a browser."""

import re
from typing import Any

from tests.api.whole_server import WholeServer
from tests.console.asking import ask
from tests.console.console_client import ConsoleClient

STEP = "mutation ($input: StepInput!) { recordStep(input: $input) { __typename } }"
FAIL = "mutation ($input: FailureInput!) { failExecution(input: $input) { __typename } }"


async def started(console: ConsoleClient, **fields: Any) -> str:
    """Start an execution with the form. Returns its id."""
    answer = await console.send("/executions", **{"workflow": "payment", "key": "k1", **fields})
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"]).removeprefix("/executions/")


async def engine(server: WholeServer, mutation: str, **given: Any) -> None:
    answer = (
        await server.post({"query": mutation, "variables": {"input": given}}, "engine")
    ).json()
    [result] = answer["data"].values()
    assert result["__typename"] == "Accepted", answer


async def test_an_operator_starts_an_execution_once_however_often_the_form_is_sent(
    console: ConsoleClient,
) -> None:
    await console.sign_in("olivia")
    fields = {"input": '{"invoice": 17}', "on_behalf_of": "employee"}
    first = await started(console, **fields)
    assert await started(console, **fields) == first
    page = await console.read(f"/executions/{first}")
    assert "Olivia (olivia) for employee" in page
    assert "invoice" in page


async def test_an_input_that_is_no_json_is_named_and_what_was_typed_stays(
    console: ConsoleClient,
) -> None:
    await console.sign_in("olivia")
    for wrong in ("{oops", '{"a": 1, "a": 2}', "NaN"):
        answer = await console.send("/executions", workflow="payment", input=wrong)
        assert answer.status_code == 422
        assert "input" in answer.text
        assert wrong.split(",")[0].replace('"', "&#34;") in answer.text


async def test_the_page_tells_the_whole_story(
    whole_server: WholeServer, console: ConsoleClient
) -> None:
    await console.sign_in("olivia")
    execution = await started(console)
    await engine(
        whole_server, STEP, executionId=execution, key="a", name="charge", error="card refused"
    )
    done = {"key": "a", "name": "charge", "attempt": 2, "result": {"receipt": "R-17"}}
    await engine(whole_server, STEP, executionId=execution, **done)
    await engine(whole_server, FAIL, executionId=execution, error="no route to bank")
    page = await console.read(f"/executions/{execution}")
    for words in ("Running → Failed", "charge", "2 tries", "card refused", "R-17", "no route to"):
        assert words in page, words
    assert [*re.findall(r"<strong>(Started|Step\w+|Failed)</strong>", page)] == [
        "Started",
        "StepFailed",
        "StepCompleted",
        "Failed",
    ]
    assert 'class="way taken"' in page


async def test_an_operator_retries_what_the_page_showed_as_failed(
    whole_server: WholeServer, console: ConsoleClient
) -> None:
    await console.sign_in("olivia")
    execution = await started(console)
    await engine(whole_server, FAIL, executionId=execution, error="once")
    stale = await console.send(f"/executions/{execution}/retry", version="1")
    assert stale.status_code == 409
    assert "went on since you opened" in stale.text
    retried = await console.send(f"/executions/{execution}/retry", version="2")
    assert retried.status_code == 303
    assert "Running → Failed → Running" in await console.read(f"/executions/{execution}")


async def test_an_operator_signals_parks_unparks_and_cancels(console: ConsoleClient) -> None:
    await console.sign_in("olivia")
    execution = await started(console)
    address = f"/executions/{execution}"
    assert "Unpark" not in await console.read(address)
    sent = {"name": "paid", "payload": '{"euros": 5}', "key": "the page's"}
    for _ in range(2):
        assert (await console.send(f"{address}/signal", **sent)).status_code == 303
    assert (await console.read(address)).count("SignalReceived</strong>") == 1
    assert (await console.send(f"{address}/park", reason="Wait for the bank")).status_code == 303
    page = await console.read(address)
    assert "Wait for the bank" in page
    assert "Park it" not in page
    assert (await console.send(f"{address}/unpark")).status_code == 303
    assert (await console.send(f"{address}/cancel", reason=" ")).status_code == 422
    assert (await console.send(f"{address}/cancel", reason="Ordered twice")).status_code == 303
    page = await console.read(address)
    assert "Running → Cancelled" in page
    assert "What you can do" not in page
    again = await console.send(f"{address}/signal", name="paid")
    assert again.status_code == 409


async def test_nobody_but_an_operator_does_any_of_this(
    whole_server: WholeServer, console: ConsoleClient
) -> None:
    await console.sign_in("olivia")
    execution = await started(console)
    await console.send("/sign-out")
    before = whole_server.recorded()
    for person, status in (("ann", 404), ("engine", 200)):
        await console.sign_in(person)
        assert (await console.get(f"/executions/{execution}")).status_code == status
        assert (await console.get("/executions/new")).status_code == 403
        assert (await console.send("/executions", workflow="x")).status_code == 403
        for action in ("cancel", "retry", "signal", "park", "unpark"):
            answer = await console.send(f"/executions/{execution}/{action}", reason="x", name="x")
            assert answer.status_code == 403, action
        await console.send("/sign-out")
    assert whole_server.recorded() == before


async def test_the_list_is_filtered_by_its_address_and_counts_what_it_shows(
    whole_server: WholeServer, console: ConsoleClient
) -> None:
    await console.sign_in("olivia")
    await started(console)
    await ask(whole_server, started={"workflow": "trip", "labels": [{"name": "a", "value": "b"}]})
    for address, found in {
        "/executions": 2,
        "/executions?state=WAITING_APPROVAL": 1,
        "/executions?workflow=trip": 1,
        "/executions?initiator=nobody": 0,
        "/executions?parked=yes": 0,
        "/executions?state=made-up": 2,
        "/executions?q=trip&state=RUNNING": 0,
    }.items():
        page = await console.read(address)
        assert page.count('class="row-title"') == found, address
        assert f"{found} execution" in page


async def test_a_made_up_cursor_gets_a_page_that_says_so(console: ConsoleClient) -> None:
    await console.sign_in("olivia")
    for address in ("/executions?after=xyz", "/inbox/waiting?after=xyz", "/inbox/made-up"):
        answer = await console.get(address)
        assert answer.status_code in {400, 404}
        assert "To the start" in answer.text
    stream = await console.get("/inbox/stream?after=-1", accept="text/event-stream")
    assert stream.status_code == 400


async def test_approvers_have_no_list_of_executions(console: ConsoleClient) -> None:
    await console.sign_in("ann")
    assert (await console.get("/executions")).status_code == 403
    assert 'href="/executions"' not in (await console.get("/inbox")).text
