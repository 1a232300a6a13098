"""Who can read the metrics: everybody, whoever has a token, or whoever reaches their own port."""

from typing import Any

import pytest

from api.settings import ConfigurationError, Settings
from tests.api.whole_server import WholeServer


async def test_without_settings_everybody_reads_the_metrics(whole_server: WholeServer) -> None:
    assert (await whole_server.http.get("/metrics")).status_code == 200


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("Bearer s3cret-\u00eb", 200),
        ("Bearer other", 401),
        ("s3cret-\u00eb", 401),
        ("Bearer \u00ff", 401),
        ("", 401),
    ],
)
async def test_a_token_is_asked_for(log_url: str, header: str, status: int) -> None:
    async with WholeServer.open(log_url, metrics_token="s3cret-\u00eb") as whole_server:
        headers = {b"authorization": header.encode("latin-1")}
        answer = await whole_server.http.get("/metrics", headers=headers)
        assert answer.status_code == status
        assert ("placet_" in answer.text) is (status == 200)
        assert (await whole_server.http.get("/livez")).status_code == 200


async def test_a_port_of_their_own_has_the_metrics_and_nothing_else(log_url: str) -> None:
    async with WholeServer.open(log_url, metrics_port=9100) as whole_server:
        other = "http://placet:9100"
        assert (await whole_server.http.get(f"{other}/metrics")).status_code == 200
        assert (await whole_server.http.get("/metrics")).status_code == 404
        assert (await whole_server.http.get("/livez")).status_code == 200
        for path in ("/livez", "/readyz", "/graphql", "/"):
            assert (await whole_server.http.get(other + path)).status_code == 404


@pytest.mark.parametrize("wrong", [{"metrics_port": 8000}, {"metrics_port": 0}])
def test_a_port_that_can_not_be_had_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="METRICS_PORT"):
        Settings.read(**wrong)
