"""API keys: their tokens are returned once and stored as hashes."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool

from application.api_keys import ApiKeys, DuplicateNameError
from domain.values import Role


@pytest.fixture
async def keys(log_url: str) -> AsyncIterator[ApiKeys]:
    async with AsyncConnectionPool(
        log_url, min_size=1, kwargs={"autocommit": True}, open=False
    ) as pool:
        yield ApiKeys(pool)


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
    ],
)
async def test_an_invalid_key_is_refused_and_the_field_is_named(
    keys: ApiKeys, wrong: dict[str, object], said: str
) -> None:
    given = {"name": "key", "roles": [Role.AUDITOR], **wrong}
    with pytest.raises(ValueError, match=said):
        await keys.create(given.pop("name"), **given)  # type: ignore[arg-type]
    assert await keys.all() == []
