"""Decisions of people through the client."""

from placet import require
from tests.sdk.people import People


async def test_a_late_repeat_of_a_decision_that_was_taken_back_is_no_new_decision(
    people: People,
) -> None:
    engine, approver = await people.get("engine"), await people.get("approver-a")
    execution_id = await people.start("decided")
    policy = require(2, group="finance")
    asked = await engine.request_approval(execution_id, "go", "Go", payload={}, policy=policy)
    approval = asked.approval
    assert approval is not None

    first = await approver.grant(approval, key="call-1")
    await approver.retract(approval, comment="too early")
    late = await approver.grant(approval, key="call-1")
    anew = await approver.grant(approval)

    assert (first.repeated, late.repeated, anew.repeated) == (False, True, False)
    assert anew.approval is not None
    assert [each.counts for each in anew.approval.decisions] == [False, True]
    await approver.comment(approval, "by train?", key="c")
    assert (await approver.comment(approval, "by train?", key="c")).repeated
    assert [each.text for each in await engine.comments(approval.id)] == ["by train?"]
    claimed = await approver.claim_approval(approval)
    assert claimed.approval is not None
    assert claimed.approval.claimed_by is not None
    freed = await approver.unclaim_approval(approval)
    assert freed.approval is not None
    assert freed.approval.claimed_by is None
