"""The commands that the documentation shows do what it says."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from pathlib import Path

import pytest

from bench.stack import environment
from tests.support.forked import PLACET, PLACET_SERVER, run, stack
from tests.system.conftest import Opened

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


def test_the_commands_about_people(open_server: Opened, database: str, tmp_path: Path) -> None:
    page = (ROOT / "docs/identity.md").read_text()
    [people] = re.findall(r"^```\n(id,.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "people.csv").write_text(people)
    server = open_server()
    given = {
        **environment(database),
        "PLACET_URL": server.url,
        "PLACET_TOKEN": server.tokens["approver-a"],
        "COLUMNS": "200",
    }
    lines = "".join(blocks("docs/identity.md")).splitlines()
    lines.remove("export PLACET_SCIM_TOKEN=$(openssl rand -hex 32)")
    said = ""
    for line in lines:
        name, *arguments = shlex.split(_later(line).replace("people.csv", f"{tmp_path}/people.csv"))
        done = run({"placet": PLACET, "placet-server": PLACET_SERVER}[name], *arguments, env=given)
        assert done.returncode == 0, line + done.stdout + done.stderr
        said += done.stdout
    assert "2 recorded, 0 unchanged, 0 refused" in said
    assert '"name": "Maja Example"' in said
    assert "maja is active again" in said
    assert "1. maja decides for approver-a from" in said
    assert "2. omar decides for approver-a for finance from" in said
    assert said.endswith("ended\n")


def _later(line: str) -> str:
    """Move the first moment of a command to tomorrow, and the second to the day after it."""
    days = iter((1, 2))

    def moved(_: re.Match[str]) -> str:
        return (datetime.now(UTC) + timedelta(days=next(days))).isoformat()

    return re.sub(r"\b20\d\d-\S+", moved, line)


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
