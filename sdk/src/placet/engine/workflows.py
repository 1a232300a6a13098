"""The workflows that an engine knows, by name and version."""

import inspect
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from placet.engine.names import check_name
from placet.engine.run import Run
from placet.engine.typed import Convert, as_it_is, taken
from placet.errors import PlacetError

WorkflowFunction = Callable[..., Coroutine[Any, Any, Any]]


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
        """Register a function.

        Raises TypeError if it is not an async function of (run, input) or (run), ValueError if its
        name is taken, or is none that an execution can have.
        """
        if name is None:
            name = str(getattr(function, "__name__", function))
        if not inspect.iscoroutinefunction(function):
            msg = f"workflow {name!r} must be an async function, and is {function!r}"
            raise TypeError(msg)
        check_name(name, "the name of the workflow", "give it another by name=")
        if version is not None:
            check_name(version, f"the version of workflow {name!r}", "give it another")
        if (name, version) in self._known:
            msg = f"workflow {name!r}, version {version!r}, is registered already"
            raise ValueError(msg)
        parameter = _input_parameter(name, function)
        convert = as_it_is if parameter is None else taken(function, parameter)
        self._known[name, version] = Workflow(name, function, parameter is not None, convert)

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


def _input_parameter(name: str, function: WorkflowFunction) -> str | None:
    """Name the parameter that gets the input. Raises TypeError if the function can't be called."""
    signature = inspect.signature(function)
    positional = [
        parameter.name
        for parameter in signature.parameters.values()
        if parameter.kind not in {parameter.KEYWORD_ONLY, parameter.VAR_KEYWORD}
    ]
    given = positional[:2]
    try:
        signature.bind(*given)
    except TypeError as error:
        msg = (
            f"workflow {name!r} is called with (run, input) or (run), which {signature} does not"
            f" take: {error}; what else it needs must have a default, or be had in a step"
        )
        raise TypeError(msg) from error
    if not positional:
        msg = f"workflow {name!r} takes no argument, and must take (run, input) or (run)"
        raise TypeError(msg)
    return given[1] if len(given) > 1 else None
