"""The children of an execution with theirs, as far down and as many as a page can show."""

from collections import deque

import msgspec

from api.console.views.executions import Row, row_of
from api.console.visit import Visit
from api.schema.authorized_lookups import visible_execution
from domain.execution.state import Execution

DEPTH = 5
MOST = 50
"""How many executions are read for a tree. Those nearest to its root come first."""


class Node(msgspec.Struct, kw_only=True):
    """A child by its key, with its own. ``more``: how many of these are not in the tree."""

    key: str
    row: Row
    children: list["Node"] = []
    more: int = 0


class Tree(msgspec.Struct):
    """The children of an execution. ``more``: how many of them are not in the tree."""

    children: list[Node]
    more: int


async def tree_of(visit: Visit, execution: Execution) -> Tree:
    """Return the tree of an execution, with what the viewer may see of it."""
    tree = Tree([], 0)
    seen = {execution.id}
    open_: deque[tuple[Execution, Tree | Node, int]] = deque([(execution, tree, 1)])
    while open_:
        parent, into, depth = open_.popleft()
        for child in sorted(parent.children.values(), key=lambda one: one.started_version):
            if child.id in seen:
                continue
            if depth > DEPTH or len(seen) > MOST:
                into.more += 1
                continue
            seen.add(child.id)
            state = await visible_execution(visit.context, str(child.id))
            if state is not None:
                node = Node(key=child.key, row=row_of(state))
                into.children.append(node)
                open_.append((state, node, depth + 1))
    return tree
