"""The token for GraphiQL, and the page that asks for it, without a browser."""

import re

from tests.api.whole_server import TOKENS, WholeServer
from tests.console.console_client import ConsoleClient


async def test_the_token_is_only_for_the_person_of_the_session(
    console: ConsoleClient,
) -> None:
    nobody = await console.http.get("/graphiql/token")
    assert (nobody.status_code, nobody.content) == (204, b"")
    await console.sign_in("olivia")
    answer = await console.http.get("/graphiql/token")
    assert answer.headers["cache-control"] == "no-store"
    assert TOKENS[answer.json()["token"]].id == "olivia"
    other = await console.http.get("/graphiql/token", headers={"sec-fetch-site": "cross-site"})
    assert other.status_code == 404


async def test_in_production_there_is_no_token(log_url: str) -> None:
    async with (
        WholeServer.open(log_url, mode="production") as whole_server,
        ConsoleClient.open(whole_server) as console,
    ):
        assert (await console.http.get("/graphiql/token")).status_code == 404


async def test_its_page_has_no_script_of_its_own(whole_server: WholeServer) -> None:
    page = await whole_server.http.get("/graphql", headers={"accept": "text/html"})
    policy = page.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert policy.startswith("default-src 'none';")
    assert re.findall(r"<script(?![^>]* src=\"/static/)", page.text) == []
