"""The directory in the database: what is asked of it, and that it is written with the events."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from application.command_handling.outcomes import Accepted
from application.directory import Directory, KnownPerson
from domain.authorization import SCIM, SERVICE
from domain.directory.commands import EndSubstitute, SetSubstitute
from domain.directory.events import PersonRecorded
from domain.directory.state import PersonSource
from domain.identifiers import person_stream_id
from domain.refusals import RefusalCode
from domain.values import Role
from tests.application.server_process import ServerProcess, accepted, refused
from tests.domain.people import ADAM, ANN, BOB

ADMIN = PersonSource.ADMIN
NFC, NFD = "caf\u00e9", "cafe\u0301"


@pytest.fixture
def directory(process: ServerProcess) -> Directory:
    return Directory(process.pool, process.writer)


async def know(directory: Directory, *ids: str, **fields: Any) -> None:
    given = {"source": ADMIN, "roles": frozenset({Role.APPROVER}), **fields}
    for id_ in ids:
        accepted(await directory.record(ADAM, KnownPerson(id=id_, **given)))


def ids(people: list[KnownPerson]) -> list[str]:
    return [person.id for person in people]


async def test_a_person_is_known_as_soon_as_the_command_is_accepted(
    process: ServerProcess, directory: Directory
) -> None:
    outcome = await directory.record(
        ADAM,
        KnownPerson(
            id="ann",
            name="Ann",
            emails=("Ann@Example.org",),
            groups=frozenset({"finance"}),
            roles=frozenset({Role.APPROVER}),
            source=ADMIN,
            external_id="17",
        ),
    )

    ann = await directory.person(" ann ")
    assert ann is not None
    assert (ann.name, ann.emails, ann.external_id) == ("Ann", ("Ann@Example.org",), "17")
    assert (ann.principal.id, ann.principal.groups) == ("ann", frozenset({"finance"}))
    assert await directory.person("Ann") is None
    [event] = await process.reader.history(person_stream_id("ann"))
    assert isinstance(event.recorded.event, PersonRecorded)
    assert (event.recorded.actor.id, event.topic) == ("adam", "directory.person-recorded.v1")
    assert isinstance(outcome, Accepted)
    assert outcome.position == event.position


async def test_an_address_finds_every_active_person_who_has_it(directory: Directory) -> None:
    await know(directory, "ann", emails=("ann@example.org", "a.nn@example.org"))
    await know(directory, "ann2", "gone", emails=("ANN@example.org",))
    accepted(await directory.deactivate(ADAM, "gone"))

    assert ids(await directory.by_email("Ann@EXAMPLE.org")) == ["ann", "ann2"]
    assert ids(await directory.by_email("a.nn@example.org")) == ["ann"]
    for unknown in ("nn@example.org", "%", "ann@example.org\x00", "\ud800"):
        assert await directory.by_email(unknown) == []


async def test_letters_that_only_look_alike_are_another_address(directory: Directory) -> None:
    await know(directory, "kim", emails=("kim@strasse.example",))
    await know(directory, "jörg", emails=("Jörg@Example.org",))

    for other in ("\N{KELVIN SIGN}im@strasse.example", "kim@straße.example", "JÖRG@example.org"):
        assert await directory.by_email(other) == []
    assert ids(await directory.by_email("jörg@EXAMPLE.org")) == ["jörg"]


async def test_group_names_are_compared_after_nfc_and_exactly(directory: Directory) -> None:
    await know(directory, "one", groups=frozenset({NFC}))
    await know(directory, "two", groups=frozenset({NFD}))
    await know(directory, "three", groups=frozenset({NFC.title()}))

    assert ids(await directory.members([NFD])) == ["one", "two"]
    assert ids(await directory.members([NFC.title()], ["one"])) == ["one", "three"]
    assert await directory.members([]) == []


async def test_a_deactivated_person_is_no_member_and_is_listed_as_such(
    directory: Directory,
) -> None:
    await know(directory, "ann", "bob", groups=frozenset({"finance"}))
    accepted(await directory.deactivate(ADAM, "bob", "has left"))

    assert ids(await directory.members(["finance"])) == ["ann"]
    assert await directory.deactivated() == {"bob"}
    bob = await directory.person("bob")
    assert bob is not None
    assert not bob.active
    accepted(await directory.reactivate(ADAM, "bob"))
    assert ids(await directory.members(["finance"])) == ["ann", "bob"]


async def test_people_are_found_by_parts_of_their_names_page_by_page(directory: Directory) -> None:
    await know(directory, "p_1", "p%2", "p3", groups=frozenset({"finance"}))
    await know(directory, "zoe", name="Zo\u00eb Percent%", emails=("z@example.org",))

    assert ids(await directory.page(limit=10)) == ["p%2", "p3", "p_1", "zoe"]
    assert ids(await directory.page(limit=2, after="p3")) == ["p_1", "zoe"]
    assert ids(await directory.page(text="%", limit=10)) == ["p%2", "zoe"]
    assert ids(await directory.page(text="_", limit=10)) == ["p_1"]
    assert ids(await directory.page(text="Z@EXAMPLE", limit=10)) == ["zoe"]
    assert ids(await directory.page(group="finance", limit=10)) == ["p%2", "p3", "p_1"]
    assert await directory.page(text="\x00", limit=10) == []
    assert (await directory.count(group="finance"), await directory.count(limit=3)) == (3, None)


async def test_a_substitute_is_found_while_the_absence_lasts(directory: Directory) -> None:
    await know(directory, "ann", name="Ann", groups=frozenset({"finance", "managers"}))
    now = datetime.now(UTC)
    week = timedelta(days=7)
    groups = frozenset({"finance", "legal"})
    for rest in ({}, {"groups": groups, "starts_at": now + week, "ends_at": now + 2 * week}):
        fields: Any = {"substitute": "bob", "ends_at": now + week, **rest}
        accepted(await directory.send(SetSubstitute(by=ANN, person="ann", **fields)))

    soon = now + timedelta(minutes=1)
    [absent] = await directory.substitutes_for("bob", soon)
    assert (absent.id, absent.name, absent.set_by) == ("ann", "Ann", "ann")
    assert absent.groups == {"finance", "managers"}
    # Of the groups that were named, only those that the absent person has.
    [absent] = await directory.substitutes_for("bob", now + 1.5 * week)
    assert absent.groups == {"finance"}
    assert await directory.substitutes_for("bob", now + 3 * week) == []
    assert [each.number for each in await directory.substitutes_of("ann", soon)] == [1, 2]

    accepted(await directory.send(EndSubstitute(by=ADAM, person="ann", number=1)))
    assert await directory.substitutes_for("bob", soon) == []
    accepted(await directory.deactivate(ADAM, "ann"))
    assert await directory.substitutes_for("bob", now + 1.5 * week) == []


async def test_what_scim_keeps_is_not_changed_by_others(directory: Directory) -> None:
    ann = KnownPerson(id="ann", groups=frozenset({"finance"}), source=PersonSource.SCIM)
    accepted(await directory.record(SCIM, ann))
    by_admin = KnownPerson(id="ann", source=ADMIN)
    refused(await directory.record(ADAM, by_admin), RefusalCode.INVALID_TRANSITION)
    signed_in = KnownPerson(id="ann", source=PersonSource.TOKEN)
    assert accepted(await directory.record(SERVICE, signed_in)).repeated
    refused(await directory.deactivate(BOB, "ann"), RefusalCode.FORBIDDEN)
