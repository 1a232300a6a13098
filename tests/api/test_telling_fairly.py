"""Who is slow, fails or hangs holds up nobody else who is told."""

import asyncio
from contextlib import suppress

from aiohttp import web

from domain.values import Role
from tests.api.channels.email.postbox import postbox
from tests.api.channels.receiver import Handler, Receiver, answering
from tests.api.schema.test_webhooks import CREATE
from tests.api.test_telling_people import mailing, record
from tests.api.test_telling_programs import ask, send
from tests.api.whole_server import WholeServer
from tests.domain.people import ANN
from tests.support.patience import HANGS

BAD = ("hangs", "fails", "redirects", "babbles", "slow")
EACH = 40


def behaving_by_path(end: asyncio.Event) -> Handler:
    """Return a handler that behaves as the path says, until the end."""

    async def hang(request: web.Request) -> web.StreamResponse:
        await end.wait()
        return await answering(204)(request)

    async def babble(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        with suppress(ConnectionError):
            while not end.is_set():
                await response.write(b"x" * 65_536)
        return response

    async def take_a_second(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(1)
        return await answering(204)(request)

    handlers: dict[str, Handler] = {
        "/hangs": hang,
        "/fails": answering(500),
        "/redirects": answering(302, location="/good"),
        "/babbles": babble,
        "/slow": take_a_second,
        "/good": answering(204),
    }

    async def handler(request: web.Request) -> web.StreamResponse:
        return await handlers[request.path](request)

    return handler


async def test_a_receiver_gets_all_while_others_and_the_mail_server_behave_badly(
    log_url: str,
) -> None:
    end = asyncio.Event()
    with postbox() as box:
        box.answer = lambda _: None
        async with Receiver.open() as receiver:
            receiver.answer = behaving_by_path(end)
            options = {**mailing(box), "webhook_allow": "127.0.0.1"}
            async with WholeServer.open(log_url, **options) as server:
                admin = await server.keys.create("adam", roles=[Role.ADMIN])
                await record(server, ANN)
                for name in (*BAD, "good"):
                    given = {"name": name, "url": f"{receiver.url}/{name}"}
                    await send(server, admin, CREATE, given)
                await asyncio.gather(*(ask(server) for _ in range(EACH)))

                def good() -> list[str]:
                    return [each.event["id"] for each in receiver.received if each.path == "/good"]

                async with asyncio.timeout(HANGS):
                    while len(set(good())) < EACH:
                        await asyncio.sleep(0.01)
                # A redirect leads nowhere, so each was posted by the webhook itself.
                assert len(good()) == EACH
                assert {each.path[1:] for each in receiver.received} == {*BAD, "good"}
                await box.arrived(1)
                end.set()
