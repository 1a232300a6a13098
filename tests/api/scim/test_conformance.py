"""Another implementation of SCIM checks a running server."""

import json
import subprocess
import sys
from pathlib import Path

from tests.support.audit import findings
from tests.support.forked import stack

TOKEN = "a-token-of-the-identity-provider-alone"


def test_the_checks_of_another_implementation_pass(log_url: str, tmp_path: Path) -> None:
    with stack(tmp_path, database_url=log_url, scim_token=TOKEN) as server:
        checked = subprocess.run(
            [sys.executable, "-m", "tests.api.scim.conformance", server.url, TOKEN],
            capture_output=True,
            text=True,
            check=False,
        )
    assert checked.returncode == 0, checked.stderr
    results = json.loads(checked.stdout)
    assert [each for each in results if each[0] != "SUCCESS"] == []
    assert len(results) > 100
    assert findings(log_url) == []
