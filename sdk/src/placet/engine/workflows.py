"""The workflows that an engine knows, by name and version."""

import inspect
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from placet.engine.run import Run
from placet.engine.typed import Convert, as_it_is, taken
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
    convert: Convert = as_it_is

    async def __call__(self, run: Run) -> Any:
        """Run the function. Raises ValueError for an input that is not of the type it takes."""
        if not self.takes_input:
            return await self.function(run)
        try:
            given = self.convert(run.input)
        except (ValueError, TypeError) as error:
            msg = f"the input is not what workflow {self.name!r} takes: {error}"
            raise ValueError(msg) from error
        return await self.function(run, given)


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
        parameters = list(inspect.signature(function).parameters)
        takes_input = len(parameters) >= _WITH_INPUT
        convert = taken(function, parameters[1]) if takes_input else as_it_is
        self._known[name, version] = Workflow(name, function, takes_input, convert)

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
