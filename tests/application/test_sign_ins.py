"""Who uses a token becomes known, is seen, and is not recorded more often than needed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from msgspec.structs import replace

from application.api_keys import ApiKeys
from application.directory import Directory, KnownPerson
from application.sign_ins import SignIns
from domain.directory.state import PersonSource
from domain.identifiers import person_stream_id
from domain.values import Principal, Role
from tests.application.server_process import ServerProcess, accepted
from tests.domain.people import ADAM
from tests.support.patience import HANGS

ANN = Principal(
    id="ann",
    name="Ann",
    roles=frozenset({Role.APPROVER}),
    groups=frozenset({"finance"}),
    email="ann@example.org",
)


@asynccontextmanager
async def noting(process: ServerProcess, **options: Any) -> AsyncIterator[SignIns]:
    given = {"tick": 0.01, "every": 0.0, **options}
    sign_ins = SignIns(process.pool, Directory(process.pool, process.writer), lambda: True, **given)
    await sign_ins.start()
    try:
        yield sign_ins
    finally:
        await sign_ins.close()


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(HANGS):
        while not await condition():
            await asyncio.sleep(0.01)


def seen(process: ServerProcess, id_: str) -> Callable[[], Awaitable[bool]]:
    async def is_seen() -> bool:
        person = await Directory(process.pool).person(id_)
        return person is not None and person.last_seen_at is not None

    return is_seen


async def recorded(process: ServerProcess, id_: str) -> int:
    return len(await process.reader.history(person_stream_id(id_)))


async def test_a_token_makes_its_person_known(process: ServerProcess) -> None:
    async with noting(process) as sign_ins:
        sign_ins.saw(ANN, told=True)
        await until(seen(process, "ann"))
    ann = await Directory(process.pool).person("ann")
    assert ann is not None
    assert (ann.name, ann.emails, ann.source) == ("Ann", ("ann@example.org",), PersonSource.TOKEN)
    assert (set(ann.groups), set(ann.roles)) == ({"finance"}, {Role.APPROVER})


async def test_only_what_changes_is_recorded_and_a_poorer_token_takes_nothing_away(
    process: ServerProcess,
) -> None:
    directory = Directory(process.pool)

    async def is_lawyer() -> bool:
        return bool(await directory.members(["legal"]))

    async with noting(process) as sign_ins:
        sign_ins.saw(ANN, told=True)
        await until(seen(process, "ann"))
        for poorer in (ANN, replace(ANN, email=None, name="ann")):
            before = sign_ins._seen["ann"].noted
            sign_ins.saw(poorer, told=True)
            await until(lambda before=before: _noted_after(sign_ins, before))  # type: ignore[misc]
        assert await recorded(process, "ann") == 1
        sign_ins.saw(replace(ANN, groups=frozenset({"legal"}), email=None), told=True)
        await until(is_lawyer)
    assert await recorded(process, "ann") == 2
    ann = await directory.person("ann")
    assert ann is not None
    assert (set(ann.groups), ann.emails) == ({"legal"}, ("ann@example.org",))


async def test_whom_an_administrator_keeps_is_only_seen(process: ServerProcess) -> None:
    known = KnownPerson(id="ann", groups=frozenset({"board"}), source=PersonSource.ADMIN)
    directory = Directory(process.pool, process.writer)
    accepted(await directory.record(ADAM, known))
    async with noting(process) as sign_ins:
        sign_ins.saw(ANN, told=True)
        await until(seen(process, "ann"))
    ann = await directory.person("ann")
    assert ann is not None
    assert set(ann.groups) == {"board"}
    assert await recorded(process, "ann") == 1


async def test_the_owner_of_a_key_of_before_becomes_known_and_loses_what_has_expired(
    process: ServerProcess, log_url: str
) -> None:
    directory = Directory(process.pool)
    with psycopg.connect(log_url) as connection:
        connection.execute(
            "INSERT INTO api_keys (name, owner, roles, groups, token_hash)"
            " VALUES ('old', 'ann', '{APPROVER}', '{legal,finance}', 'x')"
        )

    async def groups() -> set[str] | None:
        ann = await directory.person("ann")
        return None if ann is None else set(ann.groups)

    async def all_known() -> bool:
        return await groups() == {"legal", "finance"}

    async def gone() -> bool:
        return await groups() == set()

    async with noting(process):
        await until(all_known)
        with psycopg.connect(log_url) as connection:
            connection.execute("UPDATE api_keys SET expires_at = now()")
        await until(gone)
    assert await recorded(process, "ann") == 2


async def test_a_person_is_noted_at_most_once_in_a_while(process: ServerProcess) -> None:
    keys = ApiKeys(process.pool, process.writer)
    await keys.create("laptop", owner="ann", roles=[Role.APPROVER])
    async with noting(process, every=3600.0) as sign_ins:
        sign_ins.saw(ANN, told=False)
        await until(seen(process, "ann"))
        sign_ins.saw(replace(ANN, groups=frozenset({"legal"})), told=True)
        await asyncio.sleep(0.1)
    # A key says nothing of its owner that the directory does not know, and an hour is not over.
    assert await recorded(process, "ann") == 1


async def _noted_after(sign_ins: SignIns, before: float) -> bool:
    return sign_ins._seen["ann"].noted > before
