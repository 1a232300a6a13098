"""What the runner of one execution needs from the engine that holds the execution."""

from concurrent.futures import Executor
from datetime import datetime
from typing import Protocol, TypeVar

from placet.engine.fenced_sender import Submit
from placet.engine.history import ExecutionHistory
from placet.engine.registry import WorkflowRegistry

R_contra = TypeVar("R_contra", contravariant=True)


class RunnerBackend(Protocol[R_contra]):
    """The service as a runner sees it, and whom the runner reports to."""

    @property
    def streaming(self) -> bool:
        """Whether a stream brings the events that workflows wait for."""

    @property
    def workflows(self) -> WorkflowRegistry:
        """The workflows that are known."""

    @property
    def submit(self) -> Submit:
        """Send a command. Raises Refused and RequestError."""

    @property
    def threads(self) -> Executor | None:
        """Where steps run that may block."""

    @property
    def now(self) -> datetime:
        """The time."""

    async def load(self, execution_id: str) -> ExecutionHistory:
        """Read the history of an execution."""

    async def sleep(self, seconds: float) -> None:
        """Pause between two attempts of a step."""

    def idle(self, runner: R_contra) -> None:
        """Note that the execution waits for events only."""

    def ended(self, runner: R_contra) -> None:
        """Note that the execution is over, or not held any more."""

    def give_back(self, runner: R_contra, *, parked: bool) -> None:
        """Take back an execution that can't go on here: it was parked, or there was a fault."""
