"""The past of an execution: at a version, at a moment, two versions side by side."""

from datetime import UTC, datetime, timedelta

from api.console.views.executions import error_of
from tests.api.whole_server import WholeServer
from tests.console.asking import ask
from tests.console.console_client import ConsoleClient


async def decided(server: WholeServer, console: ConsoleClient) -> str:
    """Return the address of the past of an execution with three events and a decision."""
    await console.sign_in("ann")
    approval = await ask(server)
    answer = await console.send(
        f"/approvals/{approval['id']}/reject", digest=approval["digest"], comment="Too dear"
    )
    assert answer.status_code == 303
    await console.send("/sign-out")
    await console.sign_in("olivia")
    return f"/executions/{approval['id'].partition('.')[0]}/at"


async def test_each_version_shows_what_was_then_and_what_its_event_changed(
    whole_server: WholeServer, console: ConsoleClient
) -> None:
    address = await decided(whole_server, console)
    first = await console.read(f"{address}?version=1")
    assert "Running" in first
    assert "Too dear" not in first
    asked = await console.read(f"{address}?version=2")
    assert "Waits for approval" in asked
    assert "Too dear" not in asked
    rejected = await console.read(f"{address}?version=3")
    changed = rejected.split('class="differences"')[1].split("</table>")[0]
    assert "approvals.pay (1).status" in changed
    assert "PENDING" in changed
    assert "REJECTED" in changed
    assert "Too dear" in changed
    assert "euros" not in changed, "the payload did not change"


async def test_a_version_that_there_is_not_shows_the_nearest(
    whole_server: WholeServer, console: ConsoleClient
) -> None:
    address = await decided(whole_server, console)
    for given, shown in {"0": 4, "999": 4, "x": 4, "": 4, "2": 2}.items():
        assert f"version {shown} of 4" in await console.read(f"{address}?version={given}")


async def test_a_moment_leads_to_the_version_of_then(
    whole_server: WholeServer, console: ConsoleClient
) -> None:
    address = await decided(whole_server, console)
    # The form has no zone: it is the reader's.
    console.http.cookies.set("placet_zone", "Asia/Tokyo", domain="localhost.local")
    later = (datetime.now(UTC) + timedelta(hours=9, minutes=1)).strftime("%Y-%m-%dT%H:%M:%S")
    answer = await console.get(f"{address}?moment={later}")
    assert (answer.status_code, answer.headers["location"]) == (303, f"{address}?version=4")
    for wrong in ("2001-01-01T00:00", "made up", "9999-12-31T23:59:59", "0001-01-01T00:00"):
        answer = await console.get(f"{address}?moment={wrong}")
        assert answer.status_code in {303, 404}, wrong
    assert (await console.get(f"{address}?moment=2001-01-01T00:00")).status_code == 404


async def test_two_versions_stand_side_by_side(
    whole_server: WholeServer, console: ConsoleClient
) -> None:
    address = await decided(whole_server, console)
    page = await console.read(f"{address}?version=4&with=1")
    assert "From version 1 to version 4" in page
    assert page.count("As it was at version") == 2


async def test_a_decision_leads_to_what_was_there_then(
    whole_server: WholeServer, console: ConsoleClient
) -> None:
    address = await decided(whole_server, console)
    approval = address.removeprefix("/executions/").removesuffix("/at") + ".1"
    page = await console.read(f"/approvals/{approval}")
    assert f'href="{address}?version=2"' in page


async def test_who_may_not_see_an_execution_sees_no_past_of_it(
    whole_server: WholeServer, console: ConsoleClient
) -> None:
    address = await decided(whole_server, console)
    await console.send("/sign-out")
    await console.sign_in("ann")
    assert (await console.get(f"{address}?version=1")).status_code == 404


def test_an_error_tells_its_place_apart_from_what_it_says() -> None:
    place = '{"placet":"final","chain":[{"type":"KeyError","message":"x","file":"a.py","line":7}]}'
    assert error_of(f"KeyError: x\n{place}").places == ["KeyError: a.py:7"]
    assert error_of(f"KeyError: x\n{place}").text == "KeyError: x"
    for other in ("plain", "two\nlines", 'x\n{"placet": oops', "\n" + place):
        assert error_of(other).text == other
