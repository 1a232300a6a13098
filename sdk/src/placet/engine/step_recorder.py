"""Records how steps and requests ended: each attempt once, with its result or failure."""

import logging
from typing import Any

from placet._util.read_back import recorded
from placet.engine.failure_codec import readable, refused_text, unrecordable_text
from placet.engine.history import TOLD
from placet.engine.host import Host
from placet.engine.pending import Pending, PendingApproval, PendingStep, Told
from placet.errors import (
    BadRequest,
    InvalidInput,
    KeyReused,
    LimitExceeded,
    Nondeterministic,
    Refused,
    RequestError,
)
from placet.models.commands import RecordStep

log = logging.getLogger("placet.engine")


class StepRecorder:
    """Records for one execution. What it records is delivered to the workflow."""

    __slots__ = ("_host",)

    def __init__(self, host: Host) -> None:
        self._host = host

    async def result(self, pending: PendingStep, value: Any) -> None:
        """Record the result of a step; one that can't be recorded, as a failure for good."""
        # The work was done. Another attempt would do it twice, so none follows.
        what = f"the result of {pending}"
        try:
            result = recorded(value, pending.read, what)
        except Exception as error:  # noqa: BLE001 - models raise anything
            await self.failure(pending, unrecordable_text(error), error)
            return
        try:
            await self._record(pending, result=result)
        except (LimitExceeded, BadRequest, InvalidInput) as error:
            await self.refusal(pending, error, what)

    async def failure(
        self, pending: Pending, text: str, error: BaseException | None = None
    ) -> None:
        """Record a failed attempt, and log it with the traceback of ``error``."""
        log.warning(
            "%s of %s failed: %s", pending, self._host.execution.id, readable(text), exc_info=error
        )
        await self._record(pending, error=text)

    async def refusal(
        self, pending: Pending, error: Refused | RequestError, what: str | None = None
    ) -> None:
        """Record that the service refused a request, as a failed attempt."""
        log.warning("%s of %s: %s", pending, self._host.execution.id, error)
        await self._record(pending, error=refused_text(what or str(pending), error))

    async def tell(self, pending: Pending) -> None:
        """Record that the workflow is told the id of an approval or child. It then gets the id."""
        given_id = pending.given_id
        assert given_id is not None
        key = TOLD + given_id
        result: Any = given_id
        if isinstance(pending, PendingApproval):
            # Recorded, because another engine may know the service by another address.
            result = Told(given_id, self._host.engine.address_of(given_id))._asdict()
        data = {"key": key, "name": "asked", "attempt": 1, "result": result}
        command = RecordStep(
            execution_id=self._host.execution.id,
            fence=self._host.fence,
            key=key,
            name="asked",
            result=result,
        )
        await self._host.send(command, ("StepCompleted", data))

    async def _record(
        self, pending: Pending, *, result: Any = None, error: str | None = None
    ) -> None:
        pending.tried += 1
        data: dict[str, Any] = {
            "key": pending.key,
            "name": pending.name,
            "attempt": pending.tried,
        }
        digest = pending.arguments_digest if isinstance(pending, PendingStep) else None
        if digest is not None:
            data["argumentsDigest"] = digest
        content = ("StepCompleted", {**data, "result": result})
        if error is not None:
            content = ("StepFailed", {**data, "error": error})
        command = RecordStep(
            execution_id=self._host.execution.id,
            fence=self._host.fence,
            key=pending.key,
            name=pending.name,
            attempt=pending.tried,
            result=result,
            error=error,
            arguments_digest=digest,
        )
        try:
            await self._host.send(command, content)
        except KeyReused as refused:
            # It would be refused however often it is sent.
            msg = (
                f"{pending} can't be recorded, because its key was used for something else:"
                f" {refused.message}; what is another step needs another key"
            )
            raise Nondeterministic(msg) from refused
