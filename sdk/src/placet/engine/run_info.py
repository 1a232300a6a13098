"""What a workflow and its steps can know about their execution, and the logger of a workflow."""

import logging
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from placet.models.responses import Execution

log = logging.getLogger("placet.workflow")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """An execution, as its workflow and its steps see it.

    ``initiator``: the id of who started it. ``attempt``: inside a step the number of its attempt,
    from 1, else None. ``replaying``: whether the workflow is given recorded results; never decide
    by it what the workflow asks for.
    """

    execution_id: str
    workflow: str
    version: str | None
    queue: str
    labels: Mapping[str, str]
    initiator: str
    on_behalf_of: str | None
    started_at: datetime
    attempt: int | None
    replaying: bool


def info(execution: Execution, attempt: int | None, *, replaying: bool) -> RunInfo:
    """Return what is known of an execution at this moment."""
    return RunInfo(
        execution_id=execution.id,
        workflow=execution.workflow,
        version=execution.workflow_version,
        queue=execution.queue,
        labels={label.name: label.value for label in execution.labels},
        initiator=execution.initiator.id,
        on_behalf_of=execution.on_behalf_of,
        started_at=execution.started_at,
        attempt=attempt,
        replaying=replaying,
    )


class RunLog(logging.LoggerAdapter[logging.Logger]):
    """A logger that is silent while the workflow is given recorded results.

    Its messages begin with the id of the execution. The records have ``workflow`` and
    ``execution_id``.
    """

    def __init__(self, execution: Execution, replaying: Callable[[], bool]) -> None:
        super().__init__(log, {"workflow": execution.workflow, "execution_id": execution.id})
        self._prefix = f"{execution.id}: "
        self._replaying = replaying

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - the name of logging
        """Whether a message of this level is logged now."""
        return not self._replaying() and self.logger.isEnabledFor(level)

    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        """Put the execution before the message."""
        kwargs["extra"] = {**(kwargs.get("extra") or {}), **(self.extra or {})}
        return f"{self._prefix}{msg}", kwargs
