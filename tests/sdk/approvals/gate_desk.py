"""A gate with the people who decide, for the tests of gates."""

from typing import Any
from uuid import uuid4

from placet import (
    Approval,
    ApprovalRecord,
    Clearance,
    ExecutionState,
    Gate,
    require,
)
from tests.sdk.people import People

FINANCE = require(1, group="finance")


TRANSFER = {"euros": 120, "to": "Grünbaum & Söhne"}


class Desk:
    """A gate, and the people before it."""

    def __init__(self, people: People, gate: Gate) -> None:
        self.people = people
        self.gate = gate
        self.key = str(uuid4())

    async def ask(self, payload: Any = TRANSFER, **more: Any) -> Approval:
        given: dict[str, Any] = {"title": "Pay", "policy": FINANCE} | more
        return await self.gate.ask("pay", self.key, payload=payload, **given)

    async def granted(self, payload: Any = TRANSFER) -> Clearance:
        approval = await self.ask(payload)
        await (await self.people.get("approver-a")).grant(approval)
        return await self.gate.clearance(approval)

    async def state(self, approval: ApprovalRecord) -> ExecutionState:
        execution = await (await self.people.get("operator")).execution(approval.execution_id)
        assert execution is not None
        return execution.state
