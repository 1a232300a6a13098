"""The virtual environment of the rivals. It is made when needed, and when the pins change."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ENVIRONMENT = ROOT / ".venv-bench"
PYTHON = ENVIRONMENT / "bin" / "python"
REQUIREMENTS = HERE / "requirements.txt"
PACKAGE = HERE / "package.json"
INSTALL_WITHIN = 900


class EnvironmentMissingError(Exception):
    """The rivals can't be installed. The message says why."""


def make() -> None:
    """Install the rivals' Python packages. Raises EnvironmentMissingError."""
    if _is_made("requirements", REQUIREMENTS):
        return
    print(f"Making {ENVIRONMENT.name} for the libraries that are compared with", file=sys.stderr)
    _run(sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT))
    pip = (str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    _run(*pip, "-r", str(REQUIREMENTS))
    _note("requirements", REQUIREMENTS)


def make_node() -> None:
    """Install the rivals' npm packages in the same folder. Raises EnvironmentMissingError."""
    npm = shutil.which("npm")
    if npm is None:
        raise EnvironmentMissingError("there is no npm; install Node.js")
    if _is_made("package", PACKAGE):
        return
    shutil.copy(PACKAGE, ENVIRONMENT)
    # The packages' install scripts only send usage reports.
    _run(npm, "install", "--silent", "--ignore-scripts", "--no-audit", "--no-fund")
    _note("package", PACKAGE)


def _run(*command: str) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=ENVIRONMENT if ENVIRONMENT.exists() else ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=INSTALL_WITHIN,
        )
    except subprocess.TimeoutExpired:
        raise EnvironmentMissingError(
            f"{Path(command[0]).name} took longer than {INSTALL_WITHIN} s"
        ) from None
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()[-1]
        raise EnvironmentMissingError(f"{Path(command[0]).name} failed and said: {said}")


def _is_made(what: str, pins: Path) -> bool:
    stamp = ENVIRONMENT / f".{what}"
    return stamp.exists() and stamp.read_text() == _digest(pins)


def _note(what: str, pins: Path) -> None:
    (ENVIRONMENT / f".{what}").write_text(_digest(pins))


def _digest(pins: Path) -> str:
    return hashlib.sha256(pins.read_bytes()).hexdigest()
