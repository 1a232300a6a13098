"""The name and the version under which a function was registered as a workflow."""

from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

WorkflowFunction = Callable[..., Coroutine[Any, Any, Any]]

_ATTRIBUTE = "__placet_workflow__"


def remember_name(function: WorkflowFunction, name: str, version: str | None) -> None:
    """Note how an engine has registered a function."""
    # Callable objects may take no attributes. Those go by their name.
    with suppress(AttributeError, TypeError):
        setattr(function, _ATTRIBUTE, (name, version))


def workflow_named(workflow: str | WorkflowFunction) -> tuple[str, str | None]:
    """Return the name and version of a workflow, which is given by its name or its function.

    A function that no engine of this process has registered goes by its own name. If it was
    registered several times, the last time counts. Raises TypeError for what is neither.
    """
    if isinstance(workflow, str):
        return workflow, None
    name = getattr(workflow, "__name__", None)
    if name is None:
        msg = f"a workflow is given by its name or by its function, not by {workflow!r}"
        raise TypeError(msg)
    registered: tuple[str, str | None] = getattr(workflow, _ATTRIBUTE, (str(name), None))
    return registered
