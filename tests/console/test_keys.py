"""API keys: made, rotated and revoked by administrators, and nobody else."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from domain.values import Role
from tests.api.whole_server import WholeServer
from tests.console.console_client import ConsoleClient

KEYS = "/operations/keys"


@pytest.fixture
async def admin(whole_server: WholeServer) -> AsyncIterator[ConsoleClient]:
    """A browser in which an administrator is signed in with a key."""
    async with ConsoleClient.open(whole_server) as console:
        await sign_in(console, await whole_server.keys.create("root", roles=[Role.ADMIN]))
        yield console


async def sign_in(console: ConsoleClient, secret: str) -> None:
    answer = await console.post("/sign-in", token=secret)
    assert answer.status_code == 303, answer.text


async def make(console: ConsoleClient, name: str, **fields: Any) -> str:
    """Make a key with the form. Returns its secret, as the page shows it."""
    answer = await console.send(KEYS, **{"name": name, "role": ["AUDITOR"], **fields})
    assert answer.status_code == 200, answer.text
    return secret_on(answer.text)


def secret_on(page: str) -> str:
    [secret] = re.findall(r'value="(placet_[^"]+)"', page)
    return str(secret)


async def works(console: ConsoleClient) -> bool:
    return (await console.get("/executions")).status_code == 200


async def test_a_secret_is_shown_once_and_does_what_the_roles_allow(
    whole_server: WholeServer, admin: ConsoleClient
) -> None:
    secret = await make(
        admin, "night-shift", role=["AUDITOR", "APPROVER"], owner="ann", groups="legal, finance"
    )
    principal = await whole_server.keys.find(secret)
    assert principal is not None
    assert (principal.id, principal.groups) == ("ann", frozenset({"legal", "finance"}))
    assert principal.roles == {Role.AUDITOR, Role.APPROVER}
    listed = await admin.read(KEYS)
    assert "night-shift" in listed
    assert "by root" in listed
    assert secret not in listed
    again = await admin.send(KEYS, name="night-shift", role=["AUDITOR"])
    assert again.status_code == 422, "a reload of the page makes no other secret"
    assert "names are not used twice" in again.text


async def test_a_rotation_is_confirmed_and_happens_once_however_often_the_form_is_sent(
    whole_server: WholeServer, admin: ConsoleClient
) -> None:
    first = await make(admin, "ci")
    form = {"name": "ci", "generation": "1", "overlap": "24"}
    without = await admin.send(f"{KEYS}/rotate", name="ci", generation="1")
    assert (without.status_code, "Choose when" in without.text) == (422, True)
    second = secret_on((await admin.send(f"{KEYS}/rotate", **form)).text)
    assert (await admin.send(f"{KEYS}/rotate", **form)).status_code == 409
    assert set(await whole_server.keys.find_all([first, second])) == {first, second}
    assert "two secrets" in await admin.read(KEYS)


async def test_a_secret_that_ends_at_once_ends_the_sessions_that_began_with_it(
    admin: ConsoleClient, console: ConsoleClient
) -> None:
    secret = await make(admin, "leaked")
    await sign_in(console, secret)
    assert await works(console)
    answer = await admin.send(f"{KEYS}/rotate", name="leaked", generation="1", overlap="0")
    assert not await works(console)
    await sign_in(console, secret_on(answer.text))
    assert await works(console)


async def test_revoking_is_confirmed_and_ends_the_key(
    admin: ConsoleClient, console: ConsoleClient
) -> None:
    await sign_in(console, await make(admin, "ci"))
    assert (await admin.send(f"{KEYS}/revoke", name="ci")).status_code == 422
    assert await works(console)
    for _ in range(2):
        assert (await admin.send(f"{KEYS}/revoke", name="ci", sure="yes")).status_code == 303
    assert not await works(console)
    page = await admin.read(f"{KEYS}/change?name=ci")
    assert "Rotate the key" not in page
    assert "by root" in page


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": ""}, "name"),
        ({"name": "n" * 201}, "name"),
        ({"role": []}, "role"),
        ({"role": ["EMPEROR"]}, "role"),
        ({"days": "0"}, "days"),
        ({"days": "1e3"}, "days"),
        ({"days": "9" * 40}, "days"),
        ({"groups": "a\u202eb"}, "group"),
    ],
)
async def test_what_is_wrong_is_named_and_what_was_typed_stays(
    admin: ConsoleClient, fields: dict[str, Any], said: str
) -> None:
    given = {"name": "key", "role": ["AUDITOR"], "owner": "typed before", **fields}
    answer = await admin.send(KEYS, **given)
    assert answer.status_code == 422
    alert = answer.text.split('role="alert"')[1].split("</p>")[0]
    assert said in alert
    assert "typed before" in answer.text


async def test_a_name_that_somebody_made_up_is_not_there(admin: ConsoleClient) -> None:
    for name in ("nobody", "", "%00", "%F0%9F%98%80", "a%0Ab"):
        assert (await admin.get(f"{KEYS}/change?name={name}")).status_code == 404, name
    sent = await admin.send(f"{KEYS}/revoke", name="nobody", sure="yes")
    assert sent.status_code == 404


@pytest.mark.parametrize("person", ["olivia", "ann", "engine"])
async def test_nobody_but_an_administrator_does_any_of_this(
    whole_server: WholeServer, console: ConsoleClient, person: str
) -> None:
    await whole_server.keys.create("ci", roles=[Role.ENGINE])
    await console.sign_in(person)
    for address in (KEYS, f"{KEYS}/new", f"{KEYS}/change?name=ci"):
        assert (await console.get(address)).status_code == 403, address
    fields: Any = {
        "name": "ci",
        "role": ["ADMIN"],
        "sure": "yes",
        "overlap": "0",
        "generation": "1",
    }
    for address in (KEYS, f"{KEYS}/rotate", f"{KEYS}/revoke"):
        assert (await console.send(address, **fields)).status_code == 403, address
        assert (await console.post(address, **fields)).status_code == 403, "and never forged"
    [key] = await whole_server.keys.all()
    assert (key.generation, key.revoked_at) == (1, None)
