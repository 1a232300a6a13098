"""Decisions of people through the client."""

from placet import Approval, require
from tests.sdk.cli.test_cli import placet
from tests.sdk.people import People, Server


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


async def test_the_next_round_knows_the_last_and_the_command_shows_what_has_changed(
    people: People, server: Server
) -> None:
    engine, approver = await people.get("engine"), await people.get("approver-a")
    execution_id = await people.start("revised")
    policy = require(1, group="finance")

    async def asked(euros: int) -> Approval:
        payload = {"euros": euros, "to": "Ghent"}
        accepted = await engine.request_approval(
            execution_id, "trip", "Trip", payload=payload, policy=policy
        )
        assert accepted.approval is not None
        return accepted.approval

    first = await asked(100)
    assert await approver.previous_round(first) is None
    await approver.request_changes(first, comment="cheaper, please")
    second = await asked(90)
    before = await approver.previous_round(second.id)
    assert before is not None
    assert (before.approval.id, before.approval.status) == (first.id, "CHANGES_REQUESTED")
    assert {"op": "replace", "path": "/payload/euros", "value": 90} in before.document_diff
    assert await (await people.get("approver-c")).previous_round(second) is None

    shown = placet("--url", server.url, "--token", server.tokens["approver-a"], "show", second.id)
    lines = shown.stdout.splitlines()
    at = lines.index("Round 1 was CHANGES_REQUESTED; changed since:")
    assert lines[at + 1] == "  replace /payload/euros 90"
    assert lines[at + 2].startswith("  CHANGES_REQUESTED by approver-a, ")
    assert lines[at + 3] == "    | cheaper, please"
