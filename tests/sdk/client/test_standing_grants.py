"""What is allowed in advance, through the client and the command line."""

from datetime import UTC, datetime, timedelta

import pytest

from placet import ApprovalStatus, Client, Refused, StandingGrantStatus, require
from tests.sdk.cli.test_cli import placet
from tests.sdk.people import People, Server, until

SCHEMA = {"properties": {"cost": {"maximum": 100}}, "required": ["cost"]}


def tomorrow() -> datetime:
    return datetime.now(UTC) + timedelta(days=1)


async def granted(people: People, workflow: str, cost: int) -> str:
    """Ask for something, and return the id of the approval once it is granted."""
    engine = await people.get("engine")
    execution_id = await people.start(workflow)
    asked = await engine.request_approval(
        execution_id, "go", "Go", payload={"cost": cost}, policy=require(1, group="finance")
    )
    assert asked.approval is not None
    id_ = asked.approval.id

    async def is_granted() -> bool | None:
        found = await engine.approval(id_)
        assert found is not None
        return found.status is ApprovalStatus.GRANTED or None

    await until(is_granted)
    return id_


async def listed(client: Client, workflow: str, uses: int) -> StandingGrantStatus:
    """Wait until the list shows so many uses, and return the status."""

    async def shown() -> StandingGrantStatus | None:
        page = await client.standing_grants(workflow=workflow, count=True)
        assert page.total_count == len(page) <= 1
        return next((grant.status for grant in page if grant.uses == uses), None)

    return await until(shown)


async def test_what_is_allowed_is_granted_and_the_grant_says_for_what(people: People) -> None:
    approver, auditor = await people.get("approver-a"), await people.get("auditor")
    grant = await approver.create_standing_grant(
        "allowed-a",
        key="go",
        payload_schema=SCHEMA,
        max_uses=2,
        expires_at=tomorrow(),
        comment="Small sums",
        idempotency_key="allowed-a",
    )
    assert (grant.uses, grant.status, grant.key) == (0, StandingGrantStatus.ACTIVE, "go")
    ids = [await granted(people, "allowed-a", 50), await granted(people, "allowed-a", 100)]

    uses = await approver.standing_grant_uses(grant.id)
    assert [each.id for each in uses] == ids[::-1]
    assert {d.standing_grant_id for each in uses for d in each.decisions} == {grant.id}
    assert {d.by.id for each in uses for d in each.decisions} == {grant.by.id}
    used_up = await approver.standing_grant(grant.id)
    assert used_up is not None
    assert (used_up.uses, used_up.status) == (2, StandingGrantStatus.USED_UP)
    assert await listed(auditor, "allowed-a", 2) is StandingGrantStatus.USED_UP

    revoked = await (await people.get("operator")).revoke_standing_grant(grant.id, "enough")
    assert revoked is None, "an operator may revoke what it does not see"
    ended = await approver.revoke_standing_grant(grant.id, "enough")
    assert ended is not None
    assert ended.status is StandingGrantStatus.REVOKED


async def test_a_refusal_names_what_is_wrong(people: People) -> None:
    approver = await people.get("approver-a")
    with pytest.raises(Refused, match=r"payloadSchema\.type") as refused:
        await approver.create_standing_grant(
            "allowed-b",
            payload_schema={"type": "text"},
            max_uses=1,
            expires_at=tomorrow(),
            comment="x",
        )
    assert refused.value.code == "INVALID_INPUT"
    with pytest.raises(Refused) as missing:
        await approver.revoke_standing_grant("nothing", "enough")
    assert missing.value.code == "NOT_FOUND"
    assert await approver.standing_grant("nothing") is None
    assert len(await approver.standing_grant_uses("nothing")) == 0


async def test_the_command_line_says_what_it_allows_and_lists_it(
    people: People, server: Server
) -> None:
    access = ["--url", server.url, "--token", server.tokens["approver-a"]]
    until_then = f"{tomorrow():%Y-%m-%dT%H:%M}"
    create = ["grants", "create", "allowed-c", "--uses", "3", "--until", until_then]
    create += ["--schema", '{"properties": {"cost": {"maximum": 100}}}', "--comment", "Small"]

    unasked = placet(*access, *create)
    assert unasked.returncode == 2
    assert "--yes" in unasked.stderr
    created = placet(*access, *create, "--yes")
    assert created.returncode == 0, created.stderr
    *said, id_ = created.stdout.splitlines()
    text = "\n".join(said)
    assert "You allow in advance, each time as your own decision:" in text
    assert "approvals of the workflow 'allowed-c' with any key" in text
    assert "at most 3 times, until " in text
    approval_id = await granted(people, "allowed-c", 7)
    shown = placet(*access, "show", approval_id)
    assert f"in advance, by standing grant {id_}" in shown.stdout
    assert await listed(await people.get("approver-a"), "allowed-c", 1)

    table = placet(*access, "grants", "list", "--workflow", "allowed-c").stdout
    assert id_ in table
    assert "1 of 3" in table
    assert placet(*access, "grants", "revoke", id_, "--reason", "enough").stdout == "revoked\n"
    wrong = placet(*access, *create[:-4], "--schema", "{", "--comment", "x", "--yes")
    assert (wrong.returncode, "--schema" in wrong.stderr) == (2, True)
