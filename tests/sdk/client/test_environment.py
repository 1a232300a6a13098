"""Address and token that a client finds by itself, and a service with several addresses."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

import placet.sync
from placet import Client, Engine, errors
from tests.sdk.client.transport.test_http import answers, data
from tests.sdk.peer import Peer, serving
from tests.sdk.people import Server

VIEWER: dict[str, Any] = {"id": "ada", "name": "Ada", "roles": [], "groups": [], "queues": None}


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be in an empty directory, with no variable set."""
    monkeypatch.chdir(tmp_path)
    for name in ("PLACET_URL", "PLACET_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def keep(directory: Path) -> None:
    """Keep the tokens of a development server in a directory."""
    (directory / ".placet").mkdir()
    tokens = {"operator": "of-operator", "engine": "of-engine"}
    (directory / ".placet" / "dev-tokens.json").write_text(json.dumps(tokens))


async def test_address_and_token_come_from_the_environment(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(nowhere)
    monkeypatch.setenv("PLACET_URL", "https://placet.example, https://second.example/graphql")
    monkeypatch.setenv("PLACET_TOKEN", "from-there")
    client, engine = Client(), Engine()
    assert client.url == "https://placet.example/graphql"
    assert client.transport.addresses.all[1] == "https://second.example/graphql"
    assert client._token == engine.client._token == "from-there"
    assert Client("http://given", "given")._token == "given"
    assert placet.sync.Client()._client.url == client.url


async def test_in_development_the_token_comes_from_the_server_s_directory(nowhere: Path) -> None:
    keep(nowhere)
    assert Client()._token == "of-operator"
    assert Engine().client._token == "of-engine"
    assert Client().url == "http://127.0.0.1:8000/graphql"


def test_a_token_of_development_is_sent_to_no_other_machine(nowhere: Path) -> None:
    keep(nowhere)
    with pytest.raises(ValueError, match=r"no token: pass token= or set PLACET_TOKEN$"):
        Client("https://placet.example")


@pytest.mark.usefixtures("nowhere")
def test_without_a_token_it_is_said_where_one_was_looked_for() -> None:
    with pytest.raises(ValueError, match=r"no development token for 'engine' in .*dev-tokens.json"):
        Engine()


@pytest.mark.parametrize("url", ["", " ", "ftp://x", "http://a, nonsense", []])
def test_what_is_no_address_is_told(nowhere: Path, url: str | list[str]) -> None:
    if not url:
        keep(nowhere)
        assert Client(url).url == "http://127.0.0.1:8000/graphql"
        return
    with pytest.raises(ValueError, match="address"):
        Client(url, "a-token")


async def test_the_next_address_is_used_when_one_is_away(peer: Peer) -> None:
    answers(peer, data(VIEWER))
    async with Client(["http://127.0.0.1:9", peer.url], "a-token", retry_for=5.0) as client:
        assert (await client.viewer()).id == "ada"
        assert client.url == f"{peer.url}/graphql".replace("/graphql/graphql", "/graphql")


async def test_the_next_address_is_used_when_one_is_unavailable(peer: Peer) -> None:
    answers(peer, web.Response(status=503))
    async with serving(Peer()) as second:
        answers(second, data(VIEWER))
        async with Client([peer.url, second.url], "a-token", retry_for=5.0) as client:
            assert (await client.viewer()).id == "ada"
            assert (await client.viewer()).id == "ada"
    assert (peer.posts, second.posts) == (1, 2)


async def test_a_stream_goes_on_at_the_next_address(server: Server) -> None:
    urls = ["http://127.0.0.1:9", server.url]
    async with Client(urls, server.tokens["operator"]) as client:
        started = await client.start("nobody-runs-this")
        assert started.execution is not None
        async for event in client.execution_events(started.execution.id, after_version=0):
            assert event.version == 1
            break


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed(peer: Peer, client: Client, status: int) -> None:
    async with serving(Peer()) as elsewhere:
        answers(elsewhere, data(VIEWER))
        there = {"location": elsewhere.url}
        answers(peer, web.Response(status=status, headers=there))
        with pytest.raises(
            errors.BadRequest, match=f"HTTP {status}, a redirect to {elsewhere.url}"
        ):
            await client.viewer()
    assert (peer.posts, elsewhere.posts) == (1, 0)


async def test_no_redirect_of_a_websocket_is_followed() -> None:
    seen: list[str] = []

    async def other(request: web.Request) -> web.Response:
        seen.append(request.path)
        return web.Response()

    async def redirect(_: web.Request) -> web.Response:
        raise web.HTTPTemporaryRedirect("/elsewhere")

    app = web.Application()
    app.router.add_get("/graphql", redirect)
    app.router.add_get("/elsewhere", other)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    [(host, port)] = runner.addresses
    try:
        async with Client(f"http://{host}:{port}", "a-token") as client:
            with pytest.raises(errors.BadRequest, match="a redirect to /elsewhere"):
                await anext(client.execution_events("x", after_version=0))
    finally:
        await runner.cleanup()
    assert seen == []


PROGRAM = """
import asyncio, sys
from placet import Client

client = Client(sys.argv[1], "a-token", retry_for=0)

async def main():
    print((await client.viewer()).id)

asyncio.run(main())
"""


async def test_a_program_that_does_not_close_its_client_ends_without_a_word(
    peer: Peer,
) -> None:
    answers(peer, data(VIEWER))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, peer.url, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, err = await process.communicate()
    assert (out.decode().strip(), err.decode(), process.returncode) == ("ada", "", 0)
