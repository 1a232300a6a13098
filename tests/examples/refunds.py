"""The refunds that the example of an agent asks for."""

from placet import Approval, ApprovalFilter, ApprovalStatus, Client
from tests.sdk.people import until


async def asked(approver: Client, euros: int) -> Approval:
    """Wait until leave is asked for to refund so much."""

    async def find() -> Approval | None:
        where = ApprovalFilter(workflow=["refund"], status=[ApprovalStatus.PENDING])
        titled = f"Refund {euros} euros to c-17"
        return next(
            (each for each in await approver.approvals(where) if each.title == titled), None
        )

    return await until(find)
