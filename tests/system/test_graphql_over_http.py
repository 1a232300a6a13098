"""The GraphQL-over-HTTP specification, as the npm package ``graphql-http`` audits it."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from bench.stack import Stack

AUDIT = Path(__file__).with_name("audit_http")


@pytest.mark.skipif(shutil.which("npm") is None and "CI" not in os.environ, reason="no Node here")
def test_the_audit_finds_neither_an_error_nor_a_warning(server: Stack, tmp_path: Path) -> None:
    for name in ("package.json", "audit.mjs"):
        shutil.copy(AUDIT / name, tmp_path)
    subprocess.run(
        ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    done = subprocess.run(
        ["node", "audit.mjs", f"{server.url}/graphql", server.tokens["operator"]],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    audits = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(audits) > 50
    assert [audit for audit in audits if audit["status"] != "ok"] == []
