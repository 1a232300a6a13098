"""The contents of the wheel, the image and the compose file."""

import subprocess
import sys
import tomllib
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]


def run(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, check=True)


def test_the_compose_file_is_valid() -> None:
    run("check_jsonschema", "--builtin-schema", "vendor.compose-spec", "docker-compose.yml")


def test_the_wheel_holds_every_file_of_its_packages_and_no_other(tmp_path: Path) -> None:
    assert PACKAGES == ["domain", "application", "projections", "api"]
    run("hatchling", "build", "--target", "wheel", "--directory", str(tmp_path))
    (wheel,) = tmp_path.glob("*.whl")
    with ZipFile(wheel) as archive:
        shipped = {name for name in archive.namelist() if ".dist-info/" not in name}
    present = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert shipped == present


def test_the_image_has_the_files_that_the_build_needs() -> None:
    taken = (ROOT / ".dockerignore").read_text().splitlines()
    for name in [*PACKAGES, "pyproject.toml", "constraints.txt", "README.md", "LICENSE"]:
        assert f"!{name}" in taken
