"""The commands that the documentation shows do what it says."""

import os
import re
import shutil
import subprocess
import sys
from itertools import takewhile
from pathlib import Path

import pytest

from tests.support.forked import PLACET, run, stack

ROOT = Path(__file__).parents[2]
PAGES = ["README.md", *(f"docs/{page.name}" for page in sorted((ROOT / "docs").glob("*.md")))]
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(path: str) -> list[str]:
    """Return the shell commands of a page, in order."""
    return BLOCK.findall((ROOT / path).read_text())


@pytest.mark.skipif(
    shutil.which("curl") is None and "CI" not in os.environ, reason="curl is not here"
)
def test_the_first_decision_of_the_readme(tmp_path: Path) -> None:
    up, *rest = blocks("README.md")
    assert up == "placet-server up\n"
    with stack(tmp_path / ".placet") as server:
        script = "set -euo pipefail\n" + "".join(rest).replace("http://127.0.0.1:8000", server.url)
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=tmp_path,
            env={
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "HOME": str(tmp_path),
                "COLUMNS": "200",
            },
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout
    assert "Pay invoice 17" in said
    assert "GRANTED" in said
    assert "RESUMED" in said
    assert '"code":"ALREADY_DECIDED"' in said
    assert "billing-engine is revoked" in said
    assert '"name": "ann"' in said


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    text = (ROOT / page).read_text()
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert ((ROOT / page).parent / target).exists(), target


def test_every_file_that_the_architecture_names_exists() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    for name in set(re.findall(r"`((?:api|application|domain|projections|sdk)/[\w/.]+)`", text)):
        assert (ROOT / name).exists(), name


def test_the_command_takes_what_its_page_says() -> None:
    text = (ROOT / "docs/sdk.md").read_text()
    [usage] = re.findall(r"^```\n(placet executions.*?)^```$", text, re.MULTILINE | re.DOTALL)
    for line in re.sub(r"\n +", " ", usage).splitlines():
        # A command may have commands of its own.
        given = takewhile(lambda word: re.fullmatch("[a-z][a-z-]*", word), line.split()[1:])
        shown = run(PLACET, *given, "--help", env={"COLUMNS": "200", "PATH": ""})
        assert shown.returncode == 0, shown.stderr
        for option in re.findall(r"--[a-z]+", line):
            assert option in shown.stdout, line
