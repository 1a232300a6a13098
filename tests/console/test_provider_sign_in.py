"""Signing in at a provider, without a screen: what is refused, and how sessions end."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import psycopg
import pytest

from domain.authorization import COMMAND_LINE
from domain.values import Role
from tests.api.whole_server import WholeServer
from tests.console.asking import ask
from tests.console.console_client import ConsoleClient
from tests.console.sign_in_file import sign_in_file
from tests.support.oidc_provider import CLIENT, RunningProvider, SigningIssuer

REJECT = """mutation ($input: RejectionInput!) {
  rejectApproval(input: $input) {
    ... on Refused { code approval { status decisions { by { id } } } }
  }
}"""
_LEADS_TO = re.compile(r'content="0;url=([^"]+)"')


@pytest.fixture(scope="module")
def provider() -> Iterator[RunningProvider]:
    with RunningProvider.start() as provider:
        yield provider


@pytest.fixture
def partner() -> Iterator[SigningIssuer]:
    with SigningIssuer.start() as issuer:
        yield issuer


@pytest.fixture
async def server(
    log_url: str, tmp_path: Path, provider: RunningProvider, partner: SigningIssuer
) -> AsyncIterator[WholeServer]:
    provider.knows("mia", nickname="x", roles=["approver"], groups=["finance"])
    provider.knows("nobody", groups=["finance"])
    file = sign_in_file(tmp_path, [(provider.url, "Acme & Co"), (partner.url, "Other")])
    async with WholeServer.open(log_url, issuers=file) as server:
        yield server


@pytest.fixture
async def browser(server: WholeServer) -> AsyncIterator[ConsoleClient]:
    async with ConsoleClient.open(server) as console:
        yield console


async def sent(browser: ConsoleClient, alias: str = "issuer-0", **fields: str) -> str:
    """Return the address of the provider to which the console leads."""
    answer = await browser.post("/sign-in/provider", provider=alias, **fields)
    assert answer.status_code == 200, answer.text
    found = _LEADS_TO.search(answer.text)
    assert found is not None
    return unescape(found[1])


async def agreed(address: str, subject: str = "mia") -> str:
    """Log in at the provider. Returns the path of the callback to which it leads."""
    async with httpx.AsyncClient(timeout=60) as http:
        answer = await http.post(address, data={"sub": subject})
    back = urlsplit(answer.headers["location"])
    return f"{back.path}?{back.query}"


async def signed_in(browser: ConsoleClient, subject: str = "mia", **fields: str) -> str:
    """Sign somebody in, and return where they are then."""
    answer = await browser.get(await agreed(await sent(browser, **fields), subject))
    assert answer.status_code == 303, answer.text
    led = await browser.get(answer.headers["location"])
    assert led.status_code == 303
    return str(led.headers["location"])


async def test_a_link_of_a_mail_opens_the_very_page_after_signing_in(
    browser: ConsoleClient,
) -> None:
    page = await browser.get("/approvals/someone-elses?x=1")
    assert page.status_code == 401
    text = unescape(page.text)
    assert "Sign in with Acme & Co" in text
    assert "Sign in with Other" in text
    [goal] = set(re.findall(r'name="next" value="([^"]+)"', text))
    assert await signed_in(browser, next=goal) == "/approvals/someone-elses?x=1"
    assert "mia" in await browser.read("/inbox")


async def test_what_was_typed_and_what_is_asked_of_the_provider(browser: ConsoleClient) -> None:
    address = await sent(browser, next="//evil.example", comment="too dear")
    asked = parse_qs(urlsplit(address).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert len(asked["state"][0]) == len(asked["nonce"][0]) == 43
    assert asked["redirect_uri"] == ["http://localhost/sign-in/callback/issuer-0"]
    assert asked["client_id"] == [CLIENT]
    answer = await browser.get(await agreed(address))
    assert answer.headers["location"] == "/signed-in?next=%2F"


async def test_the_token_of_a_provider_is_no_api_key(
    browser: ConsoleClient, partner: SigningIssuer
) -> None:
    token = partner.token(nickname="approver-a")
    answer = await browser.post("/sign-in", token=token, next="/inbox")
    assert answer.status_code == 401, answer.headers
    assert "This key is unknown" in answer.text


async def refused(browser: ConsoleClient, callback: str, status: int = 400) -> str:
    answer = await browser.get(callback)
    assert answer.status_code == status, answer.headers
    assert (await browser.get("/inbox")).status_code == 401
    return unescape(answer.text)


async def test_an_answer_that_this_browser_has_not_asked_for_signs_nobody_in(
    server: WholeServer, browser: ConsoleClient
) -> None:
    callback = await agreed(await sent(browser))
    async with ConsoleClient.open(server) as other:
        assert "begun in another browser" in await refused(other, callback)
        # Nor in a browser that has begun a sign-in of its own.
        await sent(other)
        assert "begun in another browser" in await refused(other, callback)
    state = parse_qs(urlsplit(callback).query)["state"][0]
    for wrong in (
        callback.replace(state, "guess"),
        callback.replace("/issuer-0?", "/issuer-1?"),
        callback.replace("/issuer-0?", "/nobody?"),
        "/sign-in/callback/issuer-0",
    ):
        assert "begun in another browser" in await refused(browser, wrong)


async def test_an_answer_is_taken_once_and_for_ten_minutes(
    server: WholeServer, browser: ConsoleClient
) -> None:
    late = await agreed(await sent(browser))
    with psycopg.connect(server.url) as connection:
        connection.execute("UPDATE console_logins SET begun_at = begun_at - interval '11 minutes'")
    assert "more than ten minutes" in await refused(browser, late)
    callback = await agreed(await sent(browser))
    assert (await browser.get(callback)).status_code == 303
    assert (await browser.get(callback)).status_code == 400


async def test_a_forged_code_another_provider_and_a_refusal_sign_nobody_in(
    browser: ConsoleClient, partner: SigningIssuer
) -> None:
    callback = await agreed(await sent(browser))
    code = parse_qs(urlsplit(callback).query)["code"][0]
    # The code of somebody else's sign-in: its PKCE challenge is not this browser's.
    stolen = await agreed(await sent(browser))
    own = parse_qs(urlsplit(stolen).query)["code"][0]
    assert "begun in another browser" in await refused(browser, stolen.replace(own, code))
    mixed = await agreed(await sent(browser))
    page = await refused(browser, f"{mixed}&iss=https%3A%2F%2Fevil.example")
    assert "begun in another browser" in page
    state = parse_qs(urlsplit(await sent(browser)).query)["state"][0]
    denied = (
        f"/sign-in/callback/issuer-0?state={state}&error=access_denied&error_description=<script>"
    )
    assert "you or it refused" in await refused(browser, denied)
    partner.away = True
    away = await browser.post("/sign-in/provider", provider="issuer-1")
    assert away.status_code == 503
    assert (await browser.post("/sign-in/provider", provider="nobody")).status_code == 404


async def test_who_has_no_role_is_told_so(browser: ConsoleClient) -> None:
    callback = await agreed(await sent(browser), "nobody")
    assert "You have no role here" in await refused(browser, callback, 403)


async def test_signing_out_ends_the_session_at_the_provider_too(
    browser: ConsoleClient, provider: RunningProvider
) -> None:
    await signed_in(browser)
    answer = await browser.send("/sign-out")
    found = _LEADS_TO.search(answer.text)
    assert found is not None
    address = urlsplit(unescape(found[1]))
    assert f"http://{address.netloc}" == provider.url
    assert parse_qs(address.query) == {
        "client_id": [CLIENT],
        "post_logout_redirect_uri": ["http://localhost/sign-in"],
    }
    assert (await browser.get("/inbox")).status_code == 401


async def test_a_session_ends_when_its_provider_is_not_trusted_any_more(
    server: WholeServer, browser: ConsoleClient, tmp_path: Path, partner: SigningIssuer
) -> None:
    await signed_in(browser)
    other = sign_in_file(tmp_path, [(partner.url, "Other")])
    async with (
        WholeServer.open(server.url, issuers=other) as without,
        ConsoleClient.open(without) as console,
    ):
        console.http.cookies = browser.http.cookies
        assert (await console.get("/inbox")).status_code == 401
    assert (await browser.get("/inbox")).status_code == 200


async def test_a_session_and_a_key_and_a_token_are_one_person(
    server: WholeServer, browser: ConsoleClient, provider: RunningProvider
) -> None:
    await signed_in(browser)
    provider.knows("mia", nickname="x", roles=["approver"], groups=["finance"])
    key = await server.keys.create("k", owner="mia", roles=[Role.APPROVER], groups=["finance"])
    two = {"requirements": [{"groups": ["finance"], "count": 2}]}
    approval = await ask(server, policy=two)
    # With the session, then with the key and with the token: it is one decision of one person.
    address = f"/approvals/{approval['id']}"
    sent = await browser.send(f"{address}/grant", digest=approval["digest"], page=address)
    assert sent.status_code == 303
    given = {"approvalId": approval["id"], "digest": approval["digest"], "comment": "no"}
    for token in (key, provider.id_token("mia")):
        body = {"query": REJECT, "variables": {"input": given}}
        answer = (await server.post(body, token)).json()["data"]["rejectApproval"]
        assert answer["code"] == "ALREADY_DECIDED"
        assert answer["approval"] == {"status": "PENDING", "decisions": [{"by": {"id": "mia"}}]}
    # Nor does the session decide what its person asked for with a key.
    both = [Role.OPERATOR, Role.ENGINE]
    own = await server.keys.create("own", owner="mia", roles=both)
    asked = await ask(server, by=own)
    page = await browser.read(f"/approvals/{asked['id']}")
    assert "Four eyes: you started this, so somebody else decides." in page
    tried = await browser.send(f"/approvals/{asked['id']}/grant", digest=asked["digest"])
    assert tried.status_code == 403


async def test_the_directory_knows_who_signed_in_and_keeps_out_who_was_deactivated(
    server: WholeServer, browser: ConsoleClient, provider: RunningProvider
) -> None:
    provider.knows(
        "noor", roles=["approver"], groups=["finance"], email="n@x.org", email_verified=True
    )
    await signed_in(browser, "noor")

    async with asyncio.timeout(30):
        while (known := await server.directory.person("noor")) is None:
            await asyncio.sleep(0.05)
    assert (known.emails, known.groups) == (("n@x.org",), frozenset({"finance"}))
    await server.directory.deactivate(COMMAND_LINE, "noor", "has left")
    assert (await browser.get("/inbox")).status_code == 401
    callback = await agreed(await sent(browser), "noor")
    assert "You can't sign in here any more" in await refused(browser, callback, 403)
