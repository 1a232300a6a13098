"""The workflows that an engine knows, by name and version."""

import inspect
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from placet.engine.run import Run
from placet.errors import PlacetError

WorkflowFunction = Callable[..., Coroutine[Any, Any, Any]]

_WITH_INPUT = 2


class UnknownWorkflowError(PlacetError):
    """An execution was claimed of a workflow that this engine does not have."""


@dataclass(frozen=True, slots=True)
class Workflow:
    """An async function of (run, input), or of (run) alone."""

    name: str
    function: WorkflowFunction
    takes_input: bool

    async def __call__(self, run: Run) -> Any:
        """Run the function."""
        return await (self.function(run, run.input) if self.takes_input else self.function(run))


class Workflows:
    """A registry: (name, version) -> workflow."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str | None], Workflow] = {}

    def add(self, function: WorkflowFunction, name: str | None, version: str | None) -> None:
        """Register a function. Raises TypeError if it is not async, ValueError if it is taken."""
        name = name or function.__name__
        if not inspect.iscoroutinefunction(function):
            msg = f"workflow {name!r} must be an async function"
            raise TypeError(msg)
        if (name, version) in self._known:
            msg = f"workflow {name!r}, version {version!r}, is registered already"
            raise ValueError(msg)
        parameters = inspect.signature(function).parameters
        self._known[name, version] = Workflow(name, function, len(parameters) >= _WITH_INPUT)

    def find(self, name: str, version: str | None) -> Workflow:
        """Give the workflow of that version, else the one without a version.

        Raises UnknownWorkflowError.
        """
        workflow = self._known.get((name, version)) or self._known.get((name, None))
        if workflow is None:
            known = ", ".join(sorted({known for known, _ in self._known})) or "none"
            wanted = f"{name!r}" if version is None else f"{name!r}, version {version!r}"
            msg = f"this engine has no workflow {wanted}; it has: {known}"
            raise UnknownWorkflowError(msg)
        return workflow
