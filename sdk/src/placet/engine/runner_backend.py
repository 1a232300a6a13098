"""What the runner of one execution needs from the engine that holds the execution."""

from typing import Protocol, TypeVar

from placet.engine.engine_access import EngineAccess
from placet.engine.fenced_sender import Submit
from placet.engine.history import ExecutionHistory
from placet.engine.lost_workers import SuspectTurns
from placet.engine.registry import WorkflowRegistry

R_contra = TypeVar("R_contra", contravariant=True)


class RunnerBackend(Protocol[R_contra]):
    """The service as a runner sees it, and whom the runner reports to."""

    @property
    def engine(self) -> EngineAccess:
        """What workflows and steps use of the engine."""

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
    def turns(self) -> SuspectTurns:
        """Who is begun alone."""

    async def load(self, execution_id: str) -> ExecutionHistory:
        """Read the history of an execution."""

    def idle(self, runner: R_contra) -> None:
        """Note that the execution waits for events only."""

    def ended(self, runner: R_contra) -> None:
        """Note that the execution is over, or not held any more."""

    def give_back(self, runner: R_contra, *, parked: bool, at_once: bool = False) -> None:
        """Take back an execution that can't go on here: it was parked, or there was a fault.

        ``at_once``: another worker can go on with it.
        """
