"""Has another implementation of SCIM check a running server, and prints what it found as JSON.

    python -m tests.api.scim.conformance URL TOKEN

It is a process of its own, because that library makes its models much more slowly beside the
thousands of modules that the tests have imported.
"""

import json
import sys

import httpx2
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import check_server

from tests.support.patience import HANGS


def main() -> None:
    _, url, token = sys.argv
    with httpx2.Client(
        base_url=f"{url}/scim/v2", headers={"authorization": f"Bearer {token}"}, timeout=HANGS
    ) as http:
        results = check_server(SyncSCIMClient(http))
    found = [[each.status.name, each.title, each.reason] for each in results]
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
