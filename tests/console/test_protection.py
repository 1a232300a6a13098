"""What keeps a page and its forms from being used by others."""

import pytest

from tests.api.whole_server import WholeServer
from tests.console.console_client import ConsoleClient


async def test_every_page_says_how_a_browser_must_treat_it(console: ConsoleClient) -> None:
    await console.sign_in()
    for address in (
        *("/", "/sign-in", "/no-such-page", "/inbox?after=made-up"),
        *("/overview", "/operations", "/operations/keys"),
    ):
        headers = (await console.get(address)).headers
        assert headers["cache-control"] == "no-store", "a shared computer keeps no page"
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"
        policy = headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy, "no other host"


async def test_no_page_has_a_script_or_a_style_of_its_own(console: ConsoleClient) -> None:
    await console.sign_in()
    for address in ("/sign-in", "/inbox", "/no-such-page"):
        page = (await console.get(address)).text
        assert "<style" not in page
        assert "style=" not in page
        assert all(" src=" in tag for tag in page.split("<script")[1:])


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
async def test_a_form_from_another_site_is_not_taken(
    console: ConsoleClient, headers: dict[str, str]
) -> None:
    assert (await console.post("/sign-in", headers, person="ann")).status_code == 403
    await console.sign_in()
    answer = await console.post("/sign-out", headers, csrf=await console.csrf())
    assert answer.status_code == 403
    assert (await console.get("/")).status_code == 303, "still signed in"


async def test_a_form_with_a_forged_token_is_not_taken(
    whole_server: WholeServer, console: ConsoleClient
) -> None:
    await console.sign_in("ann")
    async with ConsoleClient.open(whole_server) as other:
        await other.sign_in("ann")
        token_of_another_session = await other.csrf()
    for forged in ("", "0" * 64, token_of_another_session):
        assert (await console.post("/sign-out", csrf=forged)).status_code == 403
    assert (await console.post("/sign-out")).status_code == 403
    assert (await console.send("/sign-out")).status_code == 303


async def test_a_body_that_is_no_form_or_too_large_gets_a_page_that_says_so(
    console: ConsoleClient,
) -> None:
    json = await console.http.post("/sign-in", json={"person": "ann"})
    assert json.status_code == 415
    large = await console.post("/sign-in", comment="x" * 1_100_000)
    assert large.status_code == 413
    many = await console.post("/sign-in", many=["x"] * 1_001)
    assert many.status_code == 400
    assert "text/html" in many.headers["content-type"]


async def test_assets_are_kept_for_good_under_an_address_with_their_version(
    console: ConsoleClient,
) -> None:
    page = (await console.get("/sign-in")).text
    address = next(part for part in page.split('"') if part.endswith("tokens.css"))
    assert "immutable" in (await console.get(address)).headers["cache-control"]
    other = address.replace(address.split("/")[2], "0" * 12)
    assert (await console.get(other)).status_code == 404
    assert (await console.get("/static/000000000000/../app.py")).status_code == 404


async def test_without_the_database_a_page_says_so(
    whole_server: WholeServer, console: ConsoleClient
) -> None:
    await console.sign_in()
    await whole_server.pool.close()
    answer = await console.get("/inbox")
    assert answer.status_code == 503
    assert "Not possible at the moment" in answer.text
