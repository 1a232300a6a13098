"""Every module of the domain has a place in the order of imports that pyproject.toml states."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_module_of_the_domain_has_a_layer() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = project["tool"]["importlinter"]["contracts"]
    [order] = [contract for contract in contracts if contract["id"] == "domain-order"]
    named = [module.strip() for layer in order["layers"] for module in layer.split("|")]

    files = (ROOT / "domain").rglob("*.py")
    modules = [".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files]
    assert sorted(named) == sorted(name for name in modules if not name.endswith("__init__"))
