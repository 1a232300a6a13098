"""The workflows that an engine has, by name and version."""

import inspect
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from placet._util.serde import Read, as_it_is, taken
from placet._util.validation import check_name
from placet._util.workflow_names import WorkflowFunction
from placet.engine.context import Run
from placet.errors import PlacetError
from placet.models.commands import KnownWorkflow

_RUN_AND_INPUT = 2


class UnknownWorkflowError(PlacetError):
    """The engine has no workflow of the name and version of a claimed execution."""


@dataclass(frozen=True, slots=True)
class Workflow:
    """An async function of (run, input), or of (run) alone."""

    name: str
    function: WorkflowFunction
    takes_input: bool
    read: Read = as_it_is
    cleans_up: bool = False

    async def __call__(self, run: Run) -> Any:
        """Run the function. Raises ValueError for an input that does not fit its annotation."""
        if not self.takes_input:
            return await self.function(run)
        try:
            given = self.read(run.input)
        except (ValueError, TypeError) as error:
            msg = f"the input is not what workflow {self.name!r} takes: {error}"
            raise ValueError(msg) from error
        return await self.function(run, given)


class WorkflowRegistry:
    """Workflows by (name, version)."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str | None], Workflow] = {}

    def known(self) -> list[KnownWorkflow]:
        """Return what the service is told about the workflows."""
        return [
            KnownWorkflow(name=name, version=version, cleans_up=workflow.cleans_up)
            for (name, version), workflow in self._known.items()
        ]

    def add(
        self,
        function: WorkflowFunction,
        name: str | None,
        version: str | None,
        *,
        cleans_up: bool = False,
    ) -> str:
        """Register a function, and return its name, which by default is the function's.

        Raises TypeError if it is not async or can't be called with (run, input) or (run),
        ValueError if its name and version are taken, or if no execution can have them.
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
        takes_input = _takes_input(name, function)
        positional = [
            each.name
            for each in inspect.signature(function).parameters.values()
            if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
        ]
        named = takes_input and len(positional) >= _RUN_AND_INPUT
        read = taken(function, positional[1]) if named else as_it_is
        self._known[name, version] = Workflow(name, function, takes_input, read, cleans_up)
        return name

    def find(self, name: str, version: str | None) -> Workflow:
        """Return the workflow of that version, else the one without a version.

        Raises UnknownWorkflowError.
        """
        workflow = self._known.get((name, version)) or self._known.get((name, None))
        if workflow is None:
            known = ", ".join(sorted({known for known, _ in self._known})) or "none"
            wanted = f"{name!r}" if version is None else f"{name!r}, version {version!r}"
            msg = f"this engine has no workflow {wanted}; it has: {known}"
            raise UnknownWorkflowError(msg)
        return workflow


def _takes_input(name: str, function: WorkflowFunction) -> bool:
    """Whether it is called with (run, input) rather than (run). Raises TypeError for neither."""
    signature = inspect.signature(function)
    # A decorator may provide what the function takes beyond these.
    for each in (signature, inspect.signature(function, follow_wrapped=False)):
        for given in ((None, None), (None,)):
            with suppress(TypeError):
                each.bind(*given)
                return len(given) == _RUN_AND_INPUT
    msg = (
        f"workflow {name!r} is called with (run, input) or (run), which {signature} does not fit:"
        " put whatever else it needs into the input, or give it a default"
    )
    raise TypeError(msg)
