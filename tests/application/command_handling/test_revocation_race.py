"""A grant is revoked by one server process while another redeems it: exactly one happens."""

import asyncio

from application.command_handling.outcomes import Accepted
from domain.approvals.commands import RedeemApproval, RevokeApproval
from domain.approvals.events import ApprovalRedeemed, ApprovalRevoked
from domain.approvals.state import Approval
from domain.refusals import RefusalCode
from tests.application.server_process import ServerProcess, accepted, grant, refused
from tests.domain.people import ANN, ENGINE
from tests.support.audit import findings

RACES = 30


def revoke(approval: Approval) -> RevokeApproval:
    execution_id, ordinal = approval.id
    return RevokeApproval(by=ANN, execution_id=execution_id, ordinal=ordinal, reason="trip is off")


def redeem(approval: Approval) -> RedeemApproval:
    execution_id, ordinal = approval.id
    return RedeemApproval(
        by=ENGINE,
        execution_id=execution_id,
        ordinal=ordinal,
        payload_digest=approval.payload_digest,
        redemption_key="book",
    )


async def granted(process: ServerProcess) -> Approval:
    asked = await process.ask((await process.start()).id)
    return (await process.do(grant(asked))).execution.approvals[asked.ordinal]


async def test_what_is_revoked_while_it_is_redeemed_is_one_of_both(log_url: str) -> None:
    async with ServerProcess.open(log_url) as one, ServerProcess.open(log_url) as two:
        approvals = await asyncio.gather(*(granted(one) for _ in range(RACES)))

        async def race(approval: Approval, number: int) -> bool:
            # What comes together is one commit of a process, so spread it. Either may be first.
            await asyncio.sleep(0.004 * number)
            redeeming = asyncio.ensure_future(two.send(redeem(approval)))
            await asyncio.sleep(0.001 * (number % 3))
            [revoked], [redeemed] = await asyncio.gather(one.send(revoke(approval)), redeeming)
            if isinstance(revoked, Accepted):
                refused(redeemed, RefusalCode.INVALID_TRANSITION)
                return True
            accepted(redeemed)
            refused(revoked, RefusalCode.ALREADY_REDEEMED)
            return False

        won = await asyncio.gather(*(race(each, number) for number, each in enumerate(approvals)))

        for approval, was_revoked in zip(approvals, won, strict=True):
            history = [e.recorded.event for e in await one.reader.history(approval.id.execution_id)]
            either = [e for e in history if isinstance(e, ApprovalRevoked | ApprovalRedeemed)]
            expected = ApprovalRevoked if was_revoked else ApprovalRedeemed
            assert [type(event) for event in either] == [expected]
    assert findings(log_url) == []
