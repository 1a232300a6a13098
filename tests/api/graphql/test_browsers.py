"""Browsers: web pages of other origins, and their preflights."""

from typing import Any

import pytest

from api.settings import ConfigurationError, Settings
from tests.api.whole_server import WholeServer

PAGE, OTHER = "https://app.example.com", "https://evil.example.com"
VIEWER = {"query": "{ viewer { id } }"}


async def preflight(
    whole_server: WholeServer, origin: str, header: str = "authorization,content-type"
) -> Any:
    headers = {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": header,
    }
    return await whole_server.http.options("/graphql", headers=headers)


async def test_a_page_of_an_allowed_origin_may_ask(log_url: str) -> None:
    async with WholeServer.open(
        log_url, allowed_origins=f" {PAGE}, http://localhost:3000,"
    ) as whole_server:
        for origin in (PAGE, "http://localhost:3000"):
            allowed = await preflight(whole_server, origin)
            assert allowed.status_code == 200
            assert allowed.headers["access-control-allow-origin"] == origin
            for token in ("olivia", "nobody"):
                answer = await whole_server.post(VIEWER, token, origin=origin)
                assert answer.headers["access-control-allow-origin"] == origin
                assert "Origin" in answer.headers["vary"]
                assert "access-control-allow-credentials" not in answer.headers


async def test_a_page_of_another_origin_may_not(log_url: str) -> None:
    async with WholeServer.open(log_url, allowed_origins=PAGE) as whole_server:
        assert (await preflight(whole_server, OTHER)).status_code == 400
        assert (await preflight(whole_server, PAGE, "x-other")).status_code == 400
        answer = await whole_server.post(VIEWER, origin=OTHER)
        assert "access-control-allow-origin" not in answer.headers


async def test_without_allowed_origins_no_page_may_and_no_preflight_is_401(
    whole_server: WholeServer,
) -> None:
    refused = await preflight(whole_server, PAGE)
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, POST")
    for answer in (refused, await whole_server.post(VIEWER, origin=PAGE)):
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "wrong", ["app.example.com", "https://app.example.com/", "https://a.b, c", "https://A.b"]
)
def test_what_is_no_origin_is_refused(wrong: str) -> None:
    with pytest.raises(ConfigurationError, match=r"PLACET_ALLOWED_ORIGINS: .* is not an origin"):
        Settings.read(allowed_origins=wrong)
