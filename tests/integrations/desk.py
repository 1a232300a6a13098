"""People before an agent: what is asked on a queue of the test's own, and deciding it."""

from typing import Any
from uuid import uuid4

from placet import Approval, ApprovalStatus, ExecutionState, Gate
from placet.models.commands import ExecutionFilter
from tests.sdk.people import People, until


class Desk:
    """A gate with a queue of its own, and the people before it."""

    def __init__(self, people: People, gate: Gate) -> None:
        self.people = people
        self.gate = gate

    @classmethod
    async def open(cls, people: People) -> "Desk":
        return cls(people, Gate(await people.get("engine"), queue=f"gates-{uuid4()}"))

    async def asked(self) -> list[Approval]:
        """Give all approvals that were asked for, in order of their content."""
        operator = await self.people.get("operator")
        rows = await operator.executions(ExecutionFilter(queue=[self.gate.queue]), first=500)
        histories = [await operator.history(each.id) for each in rows]
        found = [a for each in histories if each is not None for a in each.approvals]
        return sorted(found, key=lambda each: str(each.payload))

    async def pending(self, count: int = 1) -> list[Approval]:
        """Wait until so many approvals are pending."""

        async def find() -> list[Approval] | None:
            found = [a for a in await self.asked() if a.status is ApprovalStatus.PENDING]
            return found if len(found) == count else None

        return await until(find)

    async def grant(self, approval: Approval, comment: str | None = None) -> None:
        await (await self.people.get("approver-a")).grant(approval, comment=comment)

    async def amend(self, approval: Approval, payload: Any) -> None:
        await (await self.people.get("approver-a")).grant(approval, amended_payload=payload)

    async def reject(self, approval: Approval, comment: str) -> None:
        await (await self.people.get("approver-b")).reject(approval, comment=comment)

    async def request_changes(self, approval: Approval, comment: str) -> None:
        await (await self.people.get("approver-b")).request_changes(approval, comment=comment)

    async def state(self, approval: Approval) -> tuple[ExecutionState, Any]:
        """Give the state and the result of an approval's execution."""
        execution = await (await self.people.get("operator")).execution(approval.execution_id)
        assert execution is not None
        return execution.state, execution.result
