"""Writes the examples of the documentation, and of the README, as modules for ``make check-types``.

python -m tests.docs_types DIRECTORY
"""

import ast
import builtins
import re
import sys
import textwrap
from pathlib import Path

from tests.system.test_docs import PAGES, ROOT

BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)

AROUND = {
    "Annotated": "from typing import Annotated",
    "ChangesRequested": "from placet import ChangesRequested",
    "Clearance": "from placet import Clearance",
    "Client": "from placet import Client",
    "Decimal": "from decimal import Decimal",
    "Depends": "from fastapi import Depends",
    "Engine": "from placet import Engine",
    "ExecutionState": "from placet import ExecutionState",
    "Literal": "from typing import Literal",
    "Offer": "class Offer(TypedDict):\n    to: str\n    euros: int",
    "Path": "from pathlib import Path",
    "Payment": "class Payment(BaseModel):\n    euros: int",
    "Receipt": "class Receipt(BaseModel):\n    number: int",
    "Run": "from placet import Run",
    "TOKEN": "TOKEN: str",
    "Wish": "@dataclass\nclass Wish:\n    to: str\n    days: int",
    "app": "app: FastAPI",
    "approval": "approval: placet.Approval",
    "asyncio": "import asyncio",
    "bank": "class Bank:\n    async def pay(self, payment: Payment) -> Receipt: ...\n\nbank: Bank",
    "book": "async def book(offer: Offer) -> str: ...",
    "claim": "claim: Claim",
    "clearance": "clearance: placet.Clearance",
    "client": "client: placet.Client",
    "contract": "async def contract(run: placet.Run, given: dict[str, str]) -> bool: ...",
    "engine": "engine: placet.Engine",
    "estimate": "async def estimate(wish: Wish) -> Offer: ...",
    "execution": "execution: placet.Execution",
    "execution_id": "execution_id: str",
    "fetch_token": "async def fetch_token() -> str: ...",
    "gate": "gate: placet.Gate",
    "give_back": "async def give_back(seat: str) -> None: ...",
    "graph": "graph: CompiledStateGraph[Any, Any, Any, Any]",
    "lodging": "async def lodging(run: placet.Run, nights: int) -> str: ...",
    "pay": "async def pay(payload: dict[str, int]) -> str: ...",
    "placet": "",
    "policy": "policy: placet.Policy",
    "require": "from placet import require",
    "run": "run: placet.Run",
    "send_mail": "async def send_mail(approval_id: str) -> None: ...",
    "UTC": "from datetime import UTC",
    "datetime": "from datetime import datetime",
    "timedelta": "from datetime import timedelta",
    "token": "token: str",
}
"""What the text around the examples gives, by the name under which an example uses it."""

HEAD = """\
# {title}
# mypy: disable-error-code="empty-body"
from dataclasses import dataclass
from typing import Any, TypedDict

from fastapi import FastAPI
from langgraph.graph.state import CompiledStateGraph
from pydantic import BaseModel

import placet
from placet.models.worker_responses import Claim

"""


def unknown(tree: ast.Module) -> list[str]:
    """Return the names that a module uses and does not define, in order."""
    used: dict[str, None] = {}
    bound = set(dir(builtins))
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Load()):
                used[name] = None
            case ast.alias(name=name, asname=other):
                bound.add(other or name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                bound.add(name)
            case ast.ClassDef(name=name) | ast.arg(arg=name):
                bound.add(name)
            case ast.Name(id=name):
                bound.add(name)
    return [name for name in used if name not in bound]


def module(title: str, example: str) -> str:
    """Return an example as a module: with what is around it, and in a function if it awaits."""
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST
    tree = compile(example, title, "exec", flags)
    assert isinstance(tree, ast.Module)
    names = unknown(tree)
    given = {name for name in names if name not in AROUND}
    assert not given, f"{title} uses {given}, which only the reader knows: say what they are"
    needed = [text for name, text in AROUND.items() if name in names or name in _needed(names)]
    try:
        compile(example, title, "exec")
    except SyntaxError:
        example = "async def example() -> None:\n" + textwrap.indent(example, "    ")
    return HEAD.format(title=title) + "\n".join(needed) + "\n\n" + example


def _needed(names: list[str]) -> set[str]:
    """Return what the declarations of these names need themselves."""
    texts = " ".join(AROUND[name] for name in names)
    return {name for name in AROUND if re.search(rf"\b{name}\b", texts) and name[0].isupper()}


def write(directory: Path) -> None:
    """Write each example as a module into a directory."""
    for page in PAGES:
        for number, example in enumerate(BLOCK.findall((ROOT / page).read_text()), start=1):
            name = f"{Path(page).stem.lower()}_{number}.py"
            (directory / name).write_text(module(f"{page}, example {number}", example))
    assert len(list(directory.iterdir())) > len(PAGES) / 2


if __name__ == "__main__":
    write(Path(sys.argv[1]))
