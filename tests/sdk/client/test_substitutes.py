"""Substitutes through the client and the command line, on a server as a process."""

from datetime import UTC, datetime, timedelta

import pytest

from placet import ApprovalStatus, Refused, require
from tests.sdk.cli.test_cli import placet
from tests.sdk.people import People, Server, until

TOMORROW = timedelta(days=1)


async def test_a_substitute_decides_and_the_command_line_says_who_it_is(
    people: People, server: Server
) -> None:
    legal, finance = await people.get("approver-c"), await people.get("approver-b")
    engine = await people.get("engine")
    execution_id = await people.start("absences")
    asked = await engine.request_approval(
        execution_id, "go", "Go", payload=1, policy=require(1, group="legal")
    )
    assert asked.approval is not None
    id_ = asked.approval.id
    tomorrow = datetime.now(UTC) + TOMORROW
    with pytest.raises(Refused, match="must be somebody else"):
        await legal.set_substitute("approver-c", ends_at=tomorrow)

    named = placet(
        *("--url", server.url, "--token", server.tokens["approver-c"], "substitute", "set"),
        *("approver-b", "--until", "1d", "--group", "legal"),
    )

    assert named.returncode == 0, named.stderr
    assert named.stdout.startswith("1. approver-b decides for approver-c for legal from ")

    async def granted() -> ApprovalStatus | None:
        shown = await finance.approval(id_)
        if shown is None:
            return None
        assert shown.viewer_may_decide.allowed
        done = await finance.grant(shown)
        assert done.approval is not None
        return done.approval.status

    assert await until(granted) is ApprovalStatus.GRANTED
    mine = await finance.substitutes(count=True)
    assert [(each.person.id, each.set_by.id, each.in_force) for each in mine] == [
        ("approver-c", "approver-c", True)
    ]
    token = ("--url", server.url, "--token", server.tokens["approver-c"], "substitute")
    assert "approver-b decides for approver-c" in placet(*token, "list").stdout
    assert placet(*token, "end", "1").stdout == "ended\n"
    assert "No substitutes." in placet(*token, "list").stderr
    again = await legal.end_substitute(1)
    assert again.repeated
