"""Whoever installs the sdk alone can use it, and is told what the integrations need."""

import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

SDK = tomllib.loads((Path(__file__).parents[3] / "sdk/pyproject.toml").read_text())["project"]
EXTRAS = {
    "placet.fastapi": "fastapi",
    "placet.langgraph": "langgraph",
    "placet.mcp": "mcp",
    "placet.openai_agents": "openai-agents",
}
BARE = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
"""


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def installed_with(names: list[str]) -> set[str]:
    """Give the distributions that come with these, by their metadata."""
    found: set[str] = set()
    left = [normal(re.split(r"[^\w.-]", name)[0]) for name in names]
    while left:
        name = left.pop()
        if name in found:
            continue
        try:
            required = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            # On another system or version of Python.
            continue
        found.add(name)
        bare = [each for each in required if not re.search(r"\bextra\s*==", each)]
        left += [normal(re.split(r"[^\w.-]", each)[0]) for each in bare]
    return found


def bare(program: str) -> "subprocess.CompletedProcess[str]":
    """Run a program where nothing is installed but the sdk with what it requires."""
    present = installed_with([SDK["name"], *SDK["dependencies"]])
    missing = {
        module
        for module, distributions in metadata.packages_distributions().items()
        if present.isdisjoint(map(normal, distributions))
    }
    assert {"agents", "fastapi", "langgraph", "mcp", "psycopg", "starlette"} <= missing
    return subprocess.run(
        [sys.executable, "-c", BARE.format(missing=missing) + program],
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_extra_is_tried() -> None:
    assert set(SDK["optional-dependencies"]) == {"forms", "otel", *EXTRAS.values()}


def test_traces_that_are_asked_for_need_an_extra_and_nothing_fails_without_it() -> None:
    ran = bare(
        "import asyncio, os\n"
        "os.environ['OTEL_EXPORTER_OTLP_ENDPOINT'] = 'http://127.0.0.1:4318'\n"
        "from placet._util.otlp import exporting\n"
        "async def main():\n"
        "    async with exporting():\n"
        "        print('goes on')\n"
        "asyncio.run(main())"
    )
    assert ran.stdout == "goes on\n"
    assert "pip install 'placet[otel]'" in ran.stderr


def test_answers_in_a_trial_need_an_extra() -> None:
    ran = bare("from placet.testing.in_memory_forms import check_answers; check_answers({}, 1)")

    assert "pip install 'placet[forms]'" in ran.stderr


def test_the_client_the_engine_and_the_trial_need_none() -> None:
    done = bare(
        "import placet, placet.sync, placet.testing\n"
        "placet.Engine('http://127.0.0.1:8000', token='t')\n"
        "placet.sync.Client('http://127.0.0.1:8000', 't').close()\n"
        # A library of the command may bring it; the rest must not need it.
        "print('pydantic' in sys.modules)\n"
        "import placet.cli"
    )
    assert (done.stdout, done.stderr) == ("False\n", "")


@pytest.mark.parametrize("module", EXTRAS)
def test_what_an_integration_lacks_is_named_with_how_to_install_it(module: str) -> None:
    done = bare(f"import {module}")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert re.fullmatch(
        rf"ModuleNotFoundError: No module named '\w+'; pip install 'placet\[{EXTRAS[module]}\]'",
        last,
    )


def test_the_command_says_it_in_a_line() -> None:
    done = bare(
        "from placet.cli import main\nsys.argv = ['placet', 'mcp', '--group', 'finance']\nmain()"
    )
    assert done.returncode == 1
    assert done.stderr == "placet: No module named 'mcp'; pip install 'placet[mcp]'\n"
