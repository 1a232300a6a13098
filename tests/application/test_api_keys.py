"""API keys: their tokens are returned once and stored as hashes."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from application.api_keys import ApiKeys, DuplicateNameError, KeyChangedError, token_hash
from application.directory import Directory
from domain.authorization import COMMAND_LINE
from domain.directory.key_events import (
    ApiKeyAdopted,
    ApiKeyCreated,
    ApiKeyRevoked,
    ApiKeyRotated,
)
from domain.directory.state import PersonSource
from domain.identifiers import api_key_stream_id
from domain.values import Role
from tests.application.server_process import ServerProcess
from tests.domain.people import ADAM, BOB
from tests.support.audit import findings


@pytest.fixture
async def unchecked(log_url: str) -> AsyncIterator[ServerProcess]:
    """A server process. What a test does to the tables themselves, the audit would find."""
    async with ServerProcess.open(log_url) as process:
        yield process


@pytest.fixture
def keys(unchecked: ServerProcess) -> ApiKeys:
    return ApiKeys(unchecked.pool, unchecked.writer)


async def test_a_token_identifies_its_owner(keys: ApiKeys) -> None:
    token = await keys.create(
        "ann-laptop", owner="ann", roles=[Role.APPROVER], groups=["legal", "finance", "legal"]
    )
    principal = await keys.find(token)
    assert principal is not None
    assert (principal.id, principal.name) == ("ann", "ann-laptop")
    assert principal.roles == {Role.APPROVER}
    assert principal.groups == {"finance", "legal"}
    assert principal.queues is None
    assert await keys.find(token + "x") is None
    assert await keys.find("\ud83d") is None
    assert await keys.find_all([token + "x", token]) == {token: principal}


async def test_a_key_without_an_owner_is_its_own(keys: ApiKeys) -> None:
    token = await keys.create("worker", roles=[Role.ENGINE], queues=["travel"])
    principal = await keys.find(token)
    assert principal is not None
    assert principal.id == "worker"
    assert principal.queues == frozenset({"travel"})


async def test_the_token_is_nowhere_in_the_database(keys: ApiKeys, log_url: str) -> None:
    token = await keys.create("secret", roles=[Role.AUDITOR])
    with psycopg.connect(log_url) as connection:
        rows = connection.execute("SELECT api_keys::text FROM api_keys").fetchall()
    assert rows
    assert all(token not in row[0] and token.encode().hex() not in row[0] for row in rows)


async def test_a_key_ends_when_it_expires_or_is_revoked(keys: ApiKeys) -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    expired = await keys.create("expired", roles=[Role.AUDITOR], expires_at=past)
    lasting = await keys.create(
        "lasting", roles=[Role.AUDITOR], expires_at=past + timedelta(days=1)
    )
    assert await keys.find(expired) is None
    assert await keys.find(lasting) is not None
    assert await keys.revoke("lasting")
    assert not await keys.revoke("lasting")
    assert not await keys.revoke("nobody")
    assert await keys.find(lasting) is None
    first, second = await keys.all()
    assert (first.name, first.revoked_at) == ("expired", None)
    assert second.revoked_at is not None


async def test_a_name_is_used_once_also_after_it_was_revoked(keys: ApiKeys) -> None:
    await keys.create("once", roles=[Role.AUDITOR])
    await keys.revoke("once")
    with pytest.raises(DuplicateNameError, match="'once'"):
        await keys.create("once", roles=[Role.AUDITOR])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"name": ""}, "name"),
        ({"name": "n" * 201}, "name"),
        ({"owner": " "}, "owner"),
        ({"groups": ["\n"]}, "group"),
        ({"queues": [""]}, "queue"),
        ({"roles": []}, "role"),
        ({"name": "Placet"}, "reserved"),
        ({"owner": "placet:scim"}, "reserved"),
    ],
)
async def test_an_invalid_key_is_refused_and_the_field_is_named(
    keys: ApiKeys, wrong: dict[str, object], said: str
) -> None:
    given = {"name": "key", "roles": [Role.AUDITOR], **wrong}
    with pytest.raises(ValueError, match=said):
        await keys.create(given.pop("name"), **given)  # type: ignore[arg-type]
    assert await keys.all() == []


async def test_a_rotated_key_has_another_token_and_the_old_one_ends_when_it_was_said(
    keys: ApiKeys, log_url: str
) -> None:
    first = await keys.create("ci", roles=[Role.ENGINE])
    second = await keys.rotate("ci", generation=1, overlap=timedelta(hours=1), by=ADAM)
    assert (await keys.find(first)) == (await keys.find(second)) is not None
    assert set(await keys.find_all([first, second])) == {first, second}
    key = await keys.named("ci")
    assert key is not None
    assert (key.generation, key.rotated_by) == (2, "adam")
    with psycopg.connect(log_url) as connection:
        connection.execute("UPDATE api_keys SET previous_until = clock_timestamp()")
    assert await keys.find(first) is None
    third = await keys.rotate("ci", generation=2, overlap=timedelta(0))
    assert await keys.find_all([first, second, third]) == {third: await keys.find(third)}


async def test_another_rotation_ends_the_token_before_the_last_at_once(keys: ApiKeys) -> None:
    first = await keys.create("ci", roles=[Role.ENGINE])
    second = await keys.rotate("ci", generation=1, overlap=timedelta(days=1))
    third = await keys.rotate("ci", generation=2, overlap=timedelta(days=1))
    assert set(await keys.find_all([first, second, third])) == {second, third}


async def test_of_two_rotations_at_once_one_is_refused(keys: ApiKeys) -> None:
    await keys.create("ci", roles=[Role.ENGINE])
    rotation = {"generation": 1, "overlap": timedelta(0)}
    results = await asyncio.gather(
        keys.rotate("ci", **rotation),  # type: ignore[arg-type]
        keys.rotate("ci", **rotation),  # type: ignore[arg-type]
        return_exceptions=True,
    )
    assert {type(result) for result in results} == {str, KeyChangedError}


async def test_a_key_that_is_not_valid_is_not_rotated(keys: ApiKeys) -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    await keys.create("expired", roles=[Role.AUDITOR], expires_at=past)
    await keys.create("revoked", roles=[Role.AUDITOR])
    await keys.revoke("revoked", by=ADAM)
    for name in ("expired", "revoked", "nobody"):
        with pytest.raises(KeyChangedError, match=name):
            await keys.rotate(name, generation=1, overlap=timedelta(0))
    with pytest.raises(ValueError, match="30 days"):
        await keys.rotate("revoked", generation=1, overlap=timedelta(days=31))


async def test_a_use_is_written_at_most_once_a_minute(keys: ApiKeys, log_url: str) -> None:
    await keys.create("ci", roles=[Role.ENGINE])
    await keys.note_use(["ci", "nobody"])
    noted = await keys.named("ci")
    assert noted is not None
    assert noted.last_used_at is not None
    await keys.note_use(["ci"])
    assert await keys.named("ci") == noted
    with psycopg.connect(log_url) as connection:
        connection.execute("UPDATE api_keys SET last_used_at = now() - interval '61 seconds'")
    await keys.note_use(["ci"])
    later = await keys.named("ci")
    assert later is not None
    assert later.last_used_at is not None
    assert later.last_used_at >= noted.last_used_at


async def test_every_change_of_a_key_is_an_event_with_its_actor(process: ServerProcess) -> None:
    keys = ApiKeys(process.pool, process.writer)
    await keys.create("ci", owner="ann", roles=[Role.APPROVER], groups=["finance"], by=ADAM)
    await keys.rotate("ci", generation=1, overlap=timedelta(hours=1))
    await keys.revoke("ci", by=ADAM)

    events = [each.recorded for each in await process.reader.history(api_key_stream_id("ci"))]
    assert [type(each.event) for each in events] == [ApiKeyCreated, ApiKeyRotated, ApiKeyRevoked]
    assert [each.actor.id for each in events] == ["adam", COMMAND_LINE.id, "adam"]
    created = events[0].event
    assert isinstance(created, ApiKeyCreated)
    assert (created.owner, created.groups) == ("ann", ("finance",))
    key = await keys.named("ci")
    assert key is not None
    assert (key.created_by, key.rotated_by, key.revoked_by) == ("adam", None, "adam")
    assert (key.created_at, key.revoked_at) == (events[0].at, events[2].at)


async def test_the_directory_knows_the_owner_with_what_the_valid_keys_give(
    process: ServerProcess,
) -> None:
    keys, directory = ApiKeys(process.pool, process.writer), Directory(process.pool)
    await keys.create("laptop", owner="ann", roles=[Role.APPROVER], groups=["finance"])
    await keys.create("phone", owner="ann", roles=[Role.AUDITOR], groups=["legal"])
    await keys.create("worker", owner="ann", roles=[Role.ENGINE], groups=["robots"])

    ann = await directory.person("ann")
    assert ann is not None
    assert ann.source is PersonSource.API_KEY
    # A program's key does not take the person's decisions away.
    assert set(ann.roles) == {Role.APPROVER, Role.AUDITOR}
    assert set(ann.groups) == {"finance", "legal"}
    await keys.revoke("laptop")
    ann = await directory.person("ann")
    assert ann is not None
    assert (set(ann.roles), set(ann.groups)) == ({Role.AUDITOR}, {"legal"})


async def test_only_an_administrator_changes_keys(process: ServerProcess) -> None:
    keys = ApiKeys(process.pool, process.writer)
    await keys.create("ci", roles=[Role.ENGINE])
    with pytest.raises(PermissionError, match="ADMIN"):
        await keys.create("mine", roles=[Role.ADMIN], by=BOB)
    with pytest.raises(PermissionError, match="ADMIN"):
        await keys.revoke("ci", by=BOB)
    assert [key.name for key in await keys.all()] == ["ci"]


async def test_a_key_of_before_there_were_events_is_recorded_when_it_changes(
    keys: ApiKeys, unchecked: ServerProcess, log_url: str
) -> None:
    old = "placet_of_before"
    with psycopg.connect(log_url) as connection:
        connection.execute(
            "INSERT INTO api_keys (name, owner, roles, groups, token_hash, created_by)"
            " VALUES ('older', 'ann', '{AUDITOR}', '{}', %s, 'eve')",
            [token_hash(old)],
        )
    assert findings(log_url) == []

    new = await keys.rotate("older", generation=1, overlap=timedelta(hours=1), by=ADAM)
    assert set(await keys.find_all([old, new])) == {old, new}
    events = [each.recorded for each in await unchecked.reader.history(api_key_stream_id("older"))]
    assert [type(each.event) for each in events] == [ApiKeyAdopted, ApiKeyRotated]
    assert [each.actor.id for each in events] == ["placet", "adam"]
    assert findings(log_url) == []
    with pytest.raises(DuplicateNameError):
        await keys.create("older", roles=[Role.AUDITOR])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("roles = '{ADMIN}'", "roles of 'ci'"),
        ("groups = '{board}'", "groups of 'ci'"),
        ("token_hash = sha256('mine')", "token_hash of 'ci'"),
        ("owner = 'ann'", "owner of 'ci'"),
        ("revoked_at = NULL", "revoked_at of 'ci'"),
        ("expires_at = 'infinity'", "expires_at of 'ci'"),
    ],
)
async def test_verify_finds_a_key_that_was_changed_in_its_table(
    keys: ApiKeys, log_url: str, change: str, said: str
) -> None:
    soon = datetime.now(UTC) + timedelta(days=1)
    await keys.create("ci", roles=[Role.ENGINE], expires_at=soon)
    await keys.revoke("ci")
    with psycopg.connect(log_url) as connection:
        connection.execute(f"UPDATE api_keys SET {change}")
    assert any(said in finding for finding in findings(log_url))
