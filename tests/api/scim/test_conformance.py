"""Another implementation of SCIM checks a running server."""

from pathlib import Path

import httpx2
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import Status, check_server

from tests.support.audit import findings
from tests.support.forked import stack

TOKEN = "a-token-of-the-identity-provider-alone"


def test_the_checks_of_another_implementation_pass(log_url: str, tmp_path: Path) -> None:
    with (
        stack(tmp_path, database_url=log_url, scim_token=TOKEN) as server,
        httpx2.Client(
            base_url=f"{server.url}/scim/v2",
            headers={"authorization": f"Bearer {TOKEN}"},
            timeout=60,
        ) as http,
    ):
        results = check_server(SyncSCIMClient(http))
    failed = [f"{r.title}: {r.reason}" for r in results if r.status is not Status.SUCCESS]
    assert failed == []
    assert len(results) > 100
    assert findings(log_url) == []
