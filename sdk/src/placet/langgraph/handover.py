"""Uses the grants of one interrupt, whose answers go to a graph together: all of them, once."""

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from placet._util.canonical_json import digest
from placet._util.serde import plain
from placet.approvals.clearance import Clearance
from placet.approvals.gate import STEP_KEY, Gate
from placet.client.transport.retry import retried
from placet.errors import AlreadyRedeemed, Doubt, Refused
from placet.models.commands import CompleteExecution, RecordStep, RedeemApproval

STEP_NAME = "answer"


async def hand_over(gate: Gate, grants: Sequence[tuple[Clearance, Any]]) -> None:
    """Redeem each grant, record its answer and complete its execution.

    The last grant decides which process wins. Those before it are redeemed under a key that every
    process computes for these grants, so after an outage all is done again without harm. The last
    has a key of this call alone. Raises Doubt if one was used otherwise, or if the last was used.
    """
    if not grants:
        return
    grants = sorted(grants, key=lambda grant: grant[0].approval.id)
    *others, last = grants
    # Of all of them, because another set that shares a grant with this one is another use.
    common = f"{STEP_NAME}-{digest([clearance.approval.id for clearance, _ in grants])}"
    for clearance, answer in others:
        await _use(gate, clearance, answer, common)
    await _use(gate, *last, f"{STEP_NAME}-{uuid4()}")


async def _use(gate: Gate, clearance: Clearance, answer: Any, key: str) -> None:
    approval = clearance.approval
    result = plain(answer, "the answer")
    commands = (
        RedeemApproval(
            approval_id=approval.id,
            payload_digest=digest(clearance.payload),
            redemption_key=key,
        ),
        RecordStep(execution_id=approval.execution_id, key=STEP_KEY, name=STEP_NAME, result=result),
        CompleteExecution(execution_id=approval.execution_id, result=result),
    )

    async def once() -> None:
        for outcome in await gate.client.submit(commands):
            if isinstance(outcome, Refused):
                raise outcome

    try:
        with gate.unclaimed():
            await retried(gate.client.retry_for, once)
    except AlreadyRedeemed as used:
        msg = (
            f"the answer of approval {approval.id} was given to the graph by another process, or by"
            " one that ended as it did; it is not given twice. To ask people again, run the graph"
            " from the checkpoint of the interrupt"
        )
        raise Doubt(msg) from used
