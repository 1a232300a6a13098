"""Who is told of what: those who are asked, those who want the answer, and those who take part."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

from msgspec.structs import replace

from domain.approvals.commands import (
    CommentApproval,
    Decide,
    DelegateApproval,
    RetractDecision,
    RevokeApproval,
    WithdrawApproval,
)
from domain.approvals.events import ApprovalExpired
from domain.approvals.policy import ExpiryAction, Policy, Requirement
from domain.approvals.state import Approval, Verdict
from domain.execution.commands import StartExecution
from domain.values import Principal, Role
from tests.application.notifications.telling import Telling, telling
from tests.application.notifications.town import Town
from tests.application.server_process import grant
from tests.domain.people import ADAM, ANN, BOB, CLEO, ENGINE, OLIVIA, approver, principal

STAGED = Policy(
    requirements=(
        Requirement(groups=("finance",), count=2),
        Requirement(groups=("legal",), stage=2),
    )
)


async def ask(telling: Telling, **rest: Any) -> Approval:
    return await telling.process.ask((await telling.process.start()).id, **rest)


async def told_since(telling: Telling) -> list[tuple[str, str]]:
    """Return who was told of what since the last call."""
    await telling.settled()
    told = telling.channel.told
    telling.channel.messages.clear()
    return told


async def test_those_who_may_decide_are_told_of_a_request(log_url: str) -> None:
    async with telling(log_url) as here:
        await ask(here)
        assert await told_since(here) == [("ann", "OPENED"), ("bob", "OPENED")]


async def test_who_asked_is_told_of_the_answer_and_who_gave_it_is_not(log_url: str) -> None:
    async with telling(log_url) as here:
        approval = await ask(here)
        await told_since(here)
        await here.process.do(grant(approval))
        # The engine asked, Olivia started the execution.
        assert await told_since(here) == [("engine", "RESOLVED"), ("olivia", "RESOLVED")]


async def test_each_stage_is_told_when_it_begins_and_again_when_it_is_asked_again(
    log_url: str,
) -> None:
    async with telling(log_url) as here:
        approval = await ask(here, policy=STAGED)
        await told_since(here)
        await here.process.do(grant(approval))
        assert await told_since(here) == []
        await here.process.do(grant(approval, BOB))
        assert await told_since(here) == [("cleo", "STAGE_BEGAN")]
        await here.process.do(
            RetractDecision(by=ANN, execution_id=approval.id.execution_id, ordinal=1)
        )
        # Ann took her own decision back, and Bob's stands: there is nobody else to ask.
        assert await told_since(here) == []
        await here.process.do(grant(approval))
        assert await told_since(here) == [("cleo", "STAGE_BEGAN")]
        await here.process.do(grant(approval, CLEO))
        assert await told_since(here) == [
            ("ann", "RESOLVED"),
            ("bob", "RESOLVED"),
            ("engine", "RESOLVED"),
            ("olivia", "RESOLVED"),
        ]


async def test_a_delegate_is_told_and_a_comment_reaches_those_who_take_part(log_url: str) -> None:
    async with telling(log_url) as here:
        approval = await ask(here)
        await told_since(here)
        of: dict[str, Any] = approval.id._asdict()
        await here.process.do(DelegateApproval(by=BOB, to="cleo", **of))
        assert await told_since(here) == [("cleo", "DELEGATED")]
        await here.process.do(CommentApproval(by=CLEO, text="Why?", **of))
        assert await told_since(here) == [
            ("bob", "COMMENTED"),
            ("engine", "COMMENTED"),
            ("olivia", "COMMENTED"),
        ]


async def test_a_grant_that_is_taken_back_is_told_to_who_gave_it(log_url: str) -> None:
    async with telling(log_url) as here:
        approval = await ask(here)
        await here.process.do(grant(approval))
        await told_since(here)
        of: dict[str, Any] = approval.id._asdict()
        await here.process.do(RevokeApproval(by=OLIVIA, reason="a mistake", **of))
        assert await told_since(here) == [("ann", "REVOKED"), ("engine", "REVOKED")]


async def test_a_request_for_changes_is_told_to_who_asked_before_it_is_resolved(
    log_url: str,
) -> None:
    async with telling(log_url) as here:
        policy = Policy(requirements=(Requirement(groups=("finance",)),), rejections=2)
        approval = await ask(here, policy=policy)
        await told_since(here)
        changes = {"verdict": Verdict.CHANGES_REQUESTED, "comment": "Cheaper, please"}
        await here.process.do(_decide(approval, ANN, **changes))
        assert await told_since(here) == [
            ("engine", "CHANGES_REQUESTED"),
            ("olivia", "CHANGES_REQUESTED"),
        ]


async def test_reminders_and_escalations_reach_those_who_may_decide_then(log_url: str) -> None:
    soon = timedelta(milliseconds=150)
    policy = Policy(
        requirements=(Requirement(groups=("finance",), count=2),),
        within=soon * 2,
        remind_before=(soon,),
        on_expiry=ExpiryAction.ESCALATE,
        escalate_to=("legal",),
    )
    async with telling(log_url) as here:
        execution = (await here.process.start(on_behalf_of="bob")).id
        approval = await here.process.ask(execution, policy=policy)
        # Four eyes: the trip is Bob's, so he is not asked, and told of the answer.
        await here.process.until(execution, ApprovalExpired)
        told = await told_since(here)
    assert [each for each in told if each[1] != "REMINDER"] == [
        ("ann", "ESCALATED"),
        ("ann", "OPENED"),
        ("bob", "RESOLVED"),
        ("cleo", "ESCALATED"),
        ("engine", "RESOLVED"),
        ("olivia", "RESOLVED"),
    ]
    assert ("ann", "REMINDER") in told
    assert approval.pending


async def test_the_fallback_group_is_told_when_too_few_known_people_may_decide(
    log_url: str,
) -> None:
    rita = principal("rita", Role.OPERATOR, groups=("helpers",))
    stranger = approver("sam", "helpers")
    town = Town(ANN, CLEO, OLIVIA, rita, stranger)
    async with telling(log_url, town=town, fallback_group="helpers") as here:
        await ask(here, policy=Policy(requirements=(Requirement(groups=("finance",), count=2),)))
        # Sam is in the group too, but may not see the approval.
        assert await told_since(here) == [("ann", "OPENED"), ("rita", "TOO_FEW_PEOPLE")]
        await ask(here)
        assert await told_since(here) == [("ann", "OPENED")]


async def test_group_names_are_compared_in_nfc_and_otherwise_exactly(log_url: str) -> None:
    town = Town(approver("decomposed", "Bu\u0308ro"), approver("lower", "b\u00fcro"))
    async with telling(log_url, town=town) as here:
        await ask(here, policy=Policy(requirements=(Requirement(groups=(" B\u00fcro",)),)))
        assert await told_since(here) == [("decomposed", "OPENED")]


async def test_what_an_administrator_starts_and_withdraws_is_told_to_no_one_else(
    log_url: str,
) -> None:
    async with telling(log_url) as here:
        execution = uuid4()
        await here.process.do(StartExecution(by=ADAM, execution_id=execution, workflow="travel"))
        approval = await here.process.ask(execution)
        await told_since(here)
        await here.process.do(
            WithdrawApproval(by=ENGINE, execution_id=execution, ordinal=1, reason="not needed")
        )
        # Nobody who was asked is told that there is nothing to do any more.
        assert await told_since(here) == [("adam", "RESOLVED")]
        assert approval.pending


def _decide(approval: Approval, by: Principal, **rest: Any) -> Decide:
    return replace(grant(approval, by), **rest)
