"""The pages of preferences, webhooks and the outbox."""

import re
from collections.abc import AsyncIterator

import psycopg
import pytest

from domain.values import Role
from tests.api.whole_server import WholeServer
from tests.console.console_client import ConsoleClient
from tests.console.test_keys import sign_in

WEBHOOKS = "/operations/webhooks"
MESSAGES = "/operations/messages"
ADD = """
    INSERT INTO outbox_messages (id, kind, recipient, channel, version, position, due_at,
        status, tries, last_error, ended_at)
    VALUES (gen_random_uuid(), 'OPENED', %s, %s, 1, %s, now(), %s, 7, %s, now())
"""


@pytest.fixture
async def admin(whole_server: WholeServer) -> AsyncIterator[ConsoleClient]:
    """A browser in which an administrator is signed in."""
    async with ConsoleClient.open(whole_server) as console:
        await sign_in(console, await whole_server.keys.create("root", roles=[Role.ADMIN]))
        yield console


def add(server: WholeServer, recipient: str, status: str = "DEAD", reason: str = "no") -> None:
    """Put a message into the outbox, through a channel that this server does not have."""
    with psycopg.connect(server.url) as connection:
        [position] = connection.execute("SELECT count(*) FROM outbox_messages").fetchone() or ()
        connection.execute(ADD, (recipient, "pigeon", position + 1, status, reason))


def statuses(server: WholeServer) -> list[str]:
    with psycopg.connect(server.url) as connection:
        rows = connection.execute("SELECT status FROM outbox_messages ORDER BY position").fetchall()
    return [row[0] for row in rows]


async def test_preferences_are_saved_and_what_is_wrong_is_named(console: ConsoleClient) -> None:
    await console.sign_in("ann")
    assert "no channel yet" in await console.read("/preferences")
    times = {"digest_at": "07:30", "quiet_from": "20:00", "quiet_until": "07:00"}

    saved = await console.send("/preferences", **times, time_zone="Europe/Berlin")

    assert saved.status_code == 303
    page = await console.read(saved.headers["location"])
    assert "Saved." in page
    for value in ("07:30", "20:00", "07:00", "Europe/Berlin"):
        assert f'value="{value}"' in page
    for wrong, said in (
        ({"digest_at": "noon"}, "digestAt must be a time"),
        ({"quiet_until": ""}, "quietFrom and quietUntil belong together"),
        ({"time_zone": "<i>Mars</i>"}, "timeZone '<i>Mars</i>' is not known"),
    ):
        answer = await console.send("/preferences", **{**times, "time_zone": "UTC", **wrong})
        assert answer.status_code == 422
        assert "<i>" not in answer.text
        alert = answer.text.split('role="alert"')[1].split("</p>")[0]
        assert said.replace("<i>", "&lt;i&gt;").replace("</i>", "&lt;/i&gt;").split("'")[0] in alert
    assert 'value="07:30"' in await console.read("/preferences")


async def test_a_webhook_is_made_rotated_and_deleted(admin: ConsoleClient) -> None:
    assert "There are no webhooks" in await admin.read(WEBHOOKS)
    given = {"name": "erp", "url": "https://erp.example/hook", "groups": "finance, legal"}
    for wrong, said in (
        ({"url": "http://erp.example"}, "must begin with https://"),
        ({"url": "https://127.0.0.1/"}, "loopback"),
        ({"name": ""}, "name"),
        ({"type": ["nothing"]}, "nothing"),
    ):
        answer = await admin.send(WEBHOOKS, **{**given, **wrong})
        assert answer.status_code == 422, wrong
        assert said in answer.text.split('role="alert"')[1].split("</p>")[0]
        assert "finance, legal" in answer.text, "what was typed stays"

    made = await admin.send(WEBHOOKS, **given, payload="yes")
    [secret] = re.findall(r'value="(whsec_[^"]+)"', made.text)
    listed = await admin.read(WEBHOOKS)
    for shown in ("https://erp.example/hook", "finance, legal", "with the payload", "all events"):
        assert shown in listed
    assert secret not in listed
    assert (await admin.send(WEBHOOKS, **given)).status_code == 422

    assert (await admin.send(f"{WEBHOOKS}/rotate", name="erp")).status_code == 422
    rotated = await admin.send(f"{WEBHOOKS}/rotate", name="erp", overlap="1")
    [other] = re.findall(r'value="(whsec_[^"]+)"', rotated.text)
    assert other != secret
    assert (await admin.send(f"{WEBHOOKS}/delete", name="erp")).status_code == 422
    assert (await admin.send(f"{WEBHOOKS}/delete", name="erp", sure="yes")).status_code == 303
    assert (await admin.get(f"{WEBHOOKS}/change?name=erp")).status_code == 404
    assert "There are no webhooks" in await admin.read(WEBHOOKS)


async def test_dead_letters_are_seen_and_sent_again(
    whole_server: WholeServer, admin: ConsoleClient
) -> None:
    for recipient in ("ann", "bob", "cleo"):
        add(whole_server, recipient, reason="550 <b>no</b> such person")
    add(whole_server, "dora", "SENT")
    page = await admin.read(MESSAGES)
    assert page.count("Send again") == 3
    assert "dora" not in page
    assert "<b>no</b>" not in (await admin.get(MESSAGES)).text
    assert "dora" in await admin.read(f"{MESSAGES}?status=SENT")
    assert "cleo" in await admin.read(f"{MESSAGES}?status=nonsense&after=x.y")
    [*ids] = re.findall(r'name="id" value="([^"]+)"', page)

    assert (await admin.send(f"{MESSAGES}/resend", id=ids[0])).status_code == 303
    assert statuses(whole_server) == ["DEAD", "DEAD", "WAITING", "SENT"]
    assert (await admin.send(f"{MESSAGES}/resend", channel="pigeon")).status_code == 303
    assert statuses(whole_server) == ["WAITING", "WAITING", "WAITING", "SENT"]
    assert (await admin.send(f"{MESSAGES}/resend", id="x")).status_code == 303
    assert "There are no such messages" in await admin.read(MESSAGES)


@pytest.mark.parametrize("person", ["olivia", "ann", "engine"])
async def test_nobody_but_an_administrator_sees_webhooks_and_messages(
    console: ConsoleClient, person: str
) -> None:
    await console.sign_in(person)
    for address in (WEBHOOKS, f"{WEBHOOKS}/change?name=erp", MESSAGES):
        assert (await console.get(address)).status_code == 403, address
    for address in (WEBHOOKS, f"{WEBHOOKS}/rotate", f"{WEBHOOKS}/delete", f"{MESSAGES}/resend"):
        assert (await console.send(address, name="erp", sure="yes")).status_code == 403, address
    told = await console.get("/preferences")
    assert told.status_code == (403 if person == "engine" else 200)
