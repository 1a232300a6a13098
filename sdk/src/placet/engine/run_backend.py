"""What the parts of a Run need of the instance of its workflow, and what they have in common."""

from asyncio import Future, events
from datetime import datetime
from typing import Any, Protocol

from placet._util.serde import Read
from placet.engine.child_access import ToChild
from placet.engine.pending import Pending, PendingChild, Told
from placet.models.responses import Execution

NOT_NEXT: Any = object()
"""What comes next is not the result of this step."""


class RunBackend(Protocol):
    """What a Run needs of the instance of its workflow."""

    @property
    def loop(self) -> Any:
        """The workflow's own loop."""

    def key(self, given: str | None, name: str) -> str:
        """Return the key that was given, or ``name-n`` by order of call.

        Raises ValueError for a key that is reserved, or that the service does not take.
        """

    @property
    def replaying(self) -> bool:
        """Whether the workflow is given recorded results."""

    def request(self, pending: Pending) -> "Future[Any]":
        """Begin to wait for something. Raises ValueError if its key is used already."""

    def next_result(self, key: str, name: str, digest: str | None, read: Read) -> Any:
        """Return the result of a step if that is next in the record, else NOT_NEXT.

        ``digest``: that of its arguments.
        """

    def address_of(self, approval_id: str) -> str:
        """Return the address at which people find an approval."""

    def ask(self, pending: Pending) -> "Future[Told]":
        """Begin to wait for an approval or a child, and return a future of its id."""

    async def to_child(self, pending: PendingChild, command: ToChild) -> None:
        """Send a command to a child, once there is such an execution. Raises Refused."""

    def signal(self, name: str) -> "Future[Any]":
        """Wait for the next signal of a name."""

    def now(self) -> datetime:
        """Return the time, in UTC."""

    def patched(self, name: str) -> bool:
        """Return whether to run the changed code."""


class RunPart:
    """Base of the parts of a Run: it asks the backend, and only while the workflow runs."""

    def __init__(self, backend: RunBackend, execution: Execution, fence: int) -> None:
        self._backend = backend
        self._execution = execution
        self._fence = fence
        # The children for whose end the end of the workflow waits.
        self._waited: list[PendingChild] = []

    async def _result_of(self, pending: Pending) -> Any:
        self._check_inside(pending.kind)
        return await self._backend.request(pending)

    def _check_inside(self, what: str) -> None:
        if events._get_running_loop() is not self._backend.loop:  # noqa: SLF001 - see WorkflowLoop
            msg = (
                f"run.{what} is for the workflow itself, while it runs; it was awaited in a step,"
                " outside of the workflow, or in the clean-up of one that was put away"
            )
            raise RuntimeError(msg)
