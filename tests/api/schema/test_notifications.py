"""People see what they are told and choose how; an ADMIN sees all, and sends dead letters again."""

from typing import Any
from uuid import uuid4

import psycopg
import pytest

from domain.values import Role
from tests.api.channels.email.postbox import postbox
from tests.api.test_telling_people import mailing, record, until_sent
from tests.api.test_telling_programs import ask, send
from tests.api.whole_server import WholeServer
from tests.domain.people import ANN, BOB

SET = """mutation ($input: NotificationPreferencesInput!) { setPreferences(input: $input) {
    code message preferences { channels { channel timing } digestAt quietFrom quietUntil timeZone }
} }"""
PREFERENCES = """{ preferences {
    channels { channel timing } digestAt quietFrom quietUntil timeZone
} }"""
MESSAGES = """
query ($status: [MessageStatus!], $recipient: ID, $approvalId: ID, $first: Int, $after: String) {
    messages(
        status: $status, recipient: $recipient, approvalId: $approvalId
        first: $first, after: $after
    ) {
        totalCount pageInfo { hasNextPage endCursor }
        edges { cursor node {
            id kind recipient channel status tries reason endedAt approval { id title }
        } }
    }
}
"""
RESEND = """mutation ($ids: [ID!], $channel: String) {
    resendMessages(ids: $ids, channel: $channel) { resent code message }
}"""
PUSH = {"channel": "push", "timing": "AT_ONCE"}
CHANNELS = {"channels": [{"channel": "email", "timing": "AT_ONCE"}, PUSH]}


async def asked(server: WholeServer, token: str, document: str, **variables: Any) -> Any:
    answer = await server.post({"query": document, "variables": variables}, token)
    body = answer.json()
    if "errors" in body:
        return body["errors"][0]["extensions"]["code"]
    [value] = body["data"].values()
    return value


async def test_a_person_chooses_how_they_are_told(log_url: str) -> None:
    with postbox() as box:
        async with WholeServer.open(log_url, **mailing(box)) as server:
            default = {
                **CHANNELS,
                "digestAt": "08:00",
                "quietFrom": None,
                "quietUntil": None,
                "timeZone": "UTC",
            }
            assert await asked(server, "ann", PREFERENCES) == default
            wanted = {
                "channels": [{"channel": "email", "timing": "DIGEST"}, PUSH],
                "digestAt": "07:15",
                "quietFrom": "22:00",
                "quietUntil": "06:00",
                "timeZone": "Europe/Berlin",
            }
            done = await send(server, "ann", SET, wanted)
            assert done == {"code": None, "message": None, "preferences": wanted}
            assert await asked(server, "ann", PREFERENCES) == wanted
            assert await asked(server, "olivia", PREFERENCES) == default
            # It replaces all.
            await send(server, "ann", SET, {})
            assert await asked(server, "ann", PREFERENCES) == default
            for wrong, named in (
                ({"timeZone": "Mars/Olympus"}, "timeZone"),
                ({"quietFrom": "22:00"}, "quietUntil"),
                ({"channels": [{"channel": "pigeon", "timing": "NEVER"}]}, "it has email"),
            ):
                refused = await send(server, "ann", SET, wrong)
                assert refused["code"] == "INVALID_INPUT"
                assert named in refused["message"]


@pytest.fixture
def dead(log_url: str) -> Any:
    """Return a function that makes all messages dead letters."""

    def kill() -> None:
        with psycopg.connect(log_url) as connection:
            connection.execute(
                "UPDATE outbox_messages SET status = 'DEAD', last_error = '550 no such person',"
                " ended_at = clock_timestamp()"
            )

    return kill


async def test_an_admin_sees_dead_letters_and_sends_them_again(log_url: str, dead: Any) -> None:
    with postbox() as box:
        async with WholeServer.open(log_url, **mailing(box)) as server:
            admin = await server.keys.create("adam", roles=[Role.ADMIN])
            await record(server, ANN, BOB)
            approval = await ask(server)
            await box.arrived(2)
            await until_sent(server, admin, 2)
            dead()
            found = await asked(server, admin, MESSAGES, status=["DEAD"], first=1)
            [edge] = found["edges"]
            assert (found["totalCount"], found["pageInfo"]["hasNextPage"]) == (2, True)
            node = edge["node"]
            assert node["reason"] == "550 no such person"
            assert (node["kind"], node["channel"]) == ("OPENED", "email")
            assert node["approval"] == {"id": approval["id"], "title": "Trip to @everyone"}
            after = found["pageInfo"]["endCursor"]
            rest = await asked(server, admin, MESSAGES, status=["DEAD"], after=after)
            assert {each["node"]["recipient"] for each in (edge, *rest["edges"])} == {"ann", "bob"}

            done = await asked(server, admin, RESEND, ids=[node["id"], str(uuid4()), "none"])
            assert done == {"resent": 1, "code": None, "message": None}
            *_, again = await box.arrived(3)
            assert again.id.startswith(f"<{node['id']}@")
            done = await asked(server, admin, RESEND, channel="email")
            assert done["resent"] == 1
            await box.arrived(4)
            await until_sent(server, admin, 2)
            assert (await asked(server, admin, RESEND, channel="email"))["resent"] == 0
            assert await asked(server, admin, RESEND) == "BAD_REQUEST"
            assert await asked(server, admin, RESEND, ids=["a"] * 501) == "LIMIT_EXCEEDED"
            assert await asked(server, admin, MESSAGES, after="nowhere") == "BAD_REQUEST"


async def test_everybody_else_sees_their_own_messages_and_sends_none(log_url: str) -> None:
    with postbox() as box:
        async with WholeServer.open(log_url, **mailing(box)) as server:
            await record(server, ANN, BOB)
            approval = await ask(server)
            await box.arrived(2)
            own = await asked(server, "ann", MESSAGES)
            assert [each["node"]["recipient"] for each in own["edges"]] == ["ann"]
            assert own["totalCount"] == 1
            about = await asked(server, "ann", MESSAGES, recipient="ann", approvalId=approval["id"])
            assert about["totalCount"] == 1
            assert await asked(server, "ann", MESSAGES, recipient="bob") == "FORBIDDEN"
            assert (await asked(server, "olivia", MESSAGES))["edges"] == []
            refused = await asked(server, "olivia", RESEND, channel="email")
            assert (refused["code"], refused["resent"]) == ("FORBIDDEN", 0)
