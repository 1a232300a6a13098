"""Who may change what is known of people, and what a change does not touch."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from domain.aggregates import Aggregate, decide, evolve, first_version
from domain.authorization import COMMAND_LINE, SCIM, SERVICE
from domain.directory.commands import (
    MAX_ABSENCE,
    MAX_SUBSTITUTES,
    DeactivatePerson,
    EndSubstitute,
    PersonCommand,
    ReactivatePerson,
    RecordPerson,
    SetSubstitute,
)
from domain.directory.events import PersonDeactivated, PersonRecorded, SubstituteSet
from domain.directory.state import Person, PersonSource
from domain.execution.event import Event
from domain.execution.events import Recorded, Retried
from domain.identifiers import person_stream_id
from domain.names import is_reserved
from domain.refusals import IllegalTransitionError, Refusal, RefusalCode
from domain.serialization.event_codec import GENESIS_HASH
from domain.values import Principal, Role
from tests.domain.people import ADAM, ANN, AUDREY, BOB, ENGINE, OLIVIA, STRANGER, principal
from tests.domain.recording import NOON, time_of

WEEK = timedelta(days=7)


def at(id_: UUID, version: int, by: Principal, event: Event, when: datetime) -> Recorded:
    return Recorded(
        execution_id=id_,
        version=version,
        at=when,
        actor=by.actor,
        command_id=UUID(int=version),
        correlation_id=id_,
        previous_hash=GENESIS_HASH,
        event=event,
    )


class Stream:
    """The stream of one person. Time goes on by a second with each event."""

    def __init__(self) -> None:
        self.state: Aggregate | None = None
        self.now = NOON

    def do(self, command: PersonCommand) -> tuple[Event, ...]:
        events = decide(self.state, command, self.now)
        for event in events:
            version = 1 if self.state is None else self.state.version + 1
            self.now = time_of(version)
            self.state = evolve(
                self.state, at(command.execution_id, version, command.by, event, self.now)
            )
        if not events:
            assert self.state is not None
            assert 1 <= first_version(self.state, command) <= self.state.version
        return events

    def refuses(self, command: PersonCommand, code: RefusalCode, said: str = "") -> None:
        with pytest.raises(Refusal, match=said) as refused:
            self.do(command)
        assert refused.value.code is code

    @property
    def person(self) -> Person:
        assert isinstance(self.state, Person)
        return self.state


def record(by: Principal = ADAM, source: PersonSource = PersonSource.ADMIN, **rest: Any) -> Any:
    fields = {"person": "ann", "groups": frozenset({"finance"}), **rest}
    return RecordPerson(by=by, source=source, **fields)


def known(source: PersonSource = PersonSource.ADMIN) -> Stream:
    stream = Stream()
    stream.do(
        record({PersonSource.SCIM: SCIM, PersonSource.ADMIN: ADAM}.get(source, SERVICE), source)
    )
    return stream


def substitute(by: Principal = ANN, **rest: Any) -> SetSubstitute:
    fields = {"person": "ann", "substitute": "bob", "ends_at": NOON + WEEK, **rest}
    return SetSubstitute(by=by, **fields)


def test_an_administrator_records_a_person_in_normal_form() -> None:
    stream = Stream()
    stream.do(
        record(
            person=" zoe\u0308 ",
            groups=frozenset({"b ", "a"}),
            emails=("Zoe@Example.org ", "Zoe@Example.org"),
            roles=frozenset({Role.APPROVER}),
        )
    )

    person = stream.person
    assert (person.person, person.id) == ("zo\u00eb", person_stream_id("zo\u00eb"))
    assert (person.groups, person.emails) == (("a", "b"), ("Zoe@Example.org",))
    assert person.active


@pytest.mark.parametrize("who", [ANN, OLIVIA, AUDREY, ENGINE, STRANGER])
def test_nobody_else_changes_the_directory(who: Principal) -> None:
    known().refuses(record(who), RefusalCode.FORBIDDEN, "ADMIN")
    known().refuses(DeactivatePerson(by=who, person="ann"), RefusalCode.FORBIDDEN, "ADMIN")
    known().refuses(ReactivatePerson(by=who, person="ann"), RefusalCode.FORBIDDEN, "ADMIN")


@pytest.mark.parametrize("source", [PersonSource.TOKEN, PersonSource.API_KEY])
def test_only_the_server_says_who_signed_in(source: PersonSource) -> None:
    Stream().refuses(record(ADAM, source), RefusalCode.FORBIDDEN, "server itself")
    # Somebody with the same name is not the server.
    named_like_it = Principal(id="placet", name="Placet", roles=frozenset(Role))
    Stream().refuses(record(named_like_it, source), RefusalCode.FORBIDDEN, "server itself")


def test_what_does_not_change_is_not_recorded_again() -> None:
    stream = known()
    assert stream.do(record()) == ()
    assert stream.do(record(groups=frozenset({"finance", "legal"})))


@pytest.mark.parametrize("kept", [PersonSource.ADMIN, PersonSource.SCIM])
def test_a_sign_in_does_not_change_whom_somebody_keeps_up_to_date(kept: PersonSource) -> None:
    stream = known(kept)
    assert stream.do(record(SERVICE, PersonSource.TOKEN, groups=frozenset({"legal"}))) == ()
    assert stream.person.groups == ("finance",)


def test_an_administrator_does_not_change_whom_scim_keeps_up_to_date() -> None:
    known(PersonSource.SCIM).refuses(record(COMMAND_LINE), RefusalCode.INVALID_TRANSITION, "SCIM")


def test_each_later_source_takes_a_person_over() -> None:
    stream = known(PersonSource.API_KEY)
    for by, source in (
        (SERVICE, PersonSource.TOKEN),
        (ADAM, PersonSource.ADMIN),
        (SCIM, PersonSource.SCIM),
    ):
        assert stream.do(record(by, source))
        assert stream.person.source is source


def test_to_record_a_person_does_not_reactivate_them() -> None:
    stream = known()
    stream.do(DeactivatePerson(by=ADAM, person="ann", reason="She has left"))
    stream.do(record(groups=frozenset()))
    assert not stream.person.active

    assert stream.do(DeactivatePerson(by=ADAM, person="ann")) == ()
    assert stream.do(ReactivatePerson(by=ADAM, person="ann"))
    assert stream.do(ReactivatePerson(by=ADAM, person="ann")) == ()
    assert stream.person.active


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"person": " "}, "id must not be empty"),
        ({"person": "placet"}, "reserved"),
        ({"person": "PLACET:scim"}, "reserved"),
        ({"emails": ("ann",)}, "'ann' is not an e-mail address"),
        ({"emails": ("a b@example.org",)}, "not an e-mail address"),
        ({"emails": ("ann@example.org\nBcc: eve@example.org",)}, "not an e-mail address"),
        ({"emails": ("a" * 400 + "@example.org",)}, "more than 320"),
        ({"groups": frozenset({"fin\nance"})}, "line break"),
        ({"groups": frozenset(map(str, range(2_001)))}, "the limit is 2000"),
        ({"name": "x" * 201}, "the limit is 200"),
    ],
)
def test_what_is_wrong_with_a_person_is_said(wrong: dict[str, Any], said: str) -> None:
    Stream().refuses(record(**wrong), RefusalCode.INVALID_INPUT, said)


def test_the_names_of_the_service_are_reserved_in_every_spelling() -> None:
    for name in ("placet", " Placet", "PLACET", "placet:scim", "Placet:anything"):
        assert is_reserved(name), name
    for name in ("placet2", "placet-engine", "ann@placet", ""):
        assert not is_reserved(name), name


def test_an_unknown_person_can_not_be_deactivated() -> None:
    Stream().refuses(DeactivatePerson(by=ADAM, person="ann"), RefusalCode.NOT_FOUND, "'ann'")


def test_a_person_names_a_substitute_and_ends_it() -> None:
    stream = known()
    stream.do(substitute(groups=frozenset({"finance"}), comment="Holidays"))

    [set_] = stream.person.substitutes
    assert (set_.number, set_.substitute, set_.groups) == (1, "bob", ("finance",))
    assert (set_.starts_at, set_.set_by.id, set_.comment) == (time_of(1), "ann", "Holidays")
    assert not set_.over(stream.now)

    again = substitute(groups=frozenset({"finance"}), comment="Holidays")
    assert stream.do(again) == ()
    stream.do(EndSubstitute(by=ANN, person="ann", number=1))
    assert stream.do(EndSubstitute(by=ANN, person="ann", number=1)) == ()
    assert stream.person.substitutes[0].over(stream.now)
    assert stream.do(again)[0].number == 2  # type: ignore[attr-defined]


def test_who_is_not_known_yet_is_recorded_with_their_first_substitute() -> None:
    stream = Stream()
    recorded, set_ = stream.do(substitute())
    assert isinstance(recorded, PersonRecorded)
    assert isinstance(set_, SubstituteSet)
    assert (recorded.groups, recorded.source) == (("finance", "managers"), PersonSource.API_KEY)


def test_an_administrator_sets_one_for_somebody_else_and_the_event_says_so() -> None:
    stream = known()
    stream.do(substitute(by=ADAM))
    assert stream.person.substitutes[0].set_by.id == "adam"
    Stream().refuses(substitute(by=ADAM), RefusalCode.NOT_FOUND, "'ann'")


@pytest.mark.parametrize("who", [BOB, OLIVIA, AUDREY, principal("ann", Role.APPROVER, Role.ENGINE)])
def test_nobody_else_names_a_substitute(who: Principal) -> None:
    known().refuses(substitute(by=who), RefusalCode.FORBIDDEN, "somebody else")
    end = EndSubstitute(by=who, person="ann", number=1)
    known().refuses(end, RefusalCode.FORBIDDEN, "somebody else")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"substitute": "Ann "}, "somebody else"),
        ({"substitute": ""}, "must not be empty"),
        ({"substitute": "placet"}, "reserved"),
        ({"groups": frozenset()}, "all groups"),
        ({"ends_at": NOON}, "must be after now"),
        ({"ends_at": NOON + MAX_ABSENCE + WEEK}, "366 days"),
        ({"starts_at": NOON + WEEK}, "after the beginning"),
    ],
)
def test_what_is_wrong_with_a_substitute_is_said(wrong: dict[str, Any], said: str) -> None:
    known().refuses(substitute(**wrong), RefusalCode.INVALID_INPUT, said)


def test_a_person_has_only_so_many_substitutes_at_a_time() -> None:
    stream = known()
    for number in range(MAX_SUBSTITUTES):
        stream.do(substitute(substitute=f"bob{number}"))
    stream.refuses(substitute(), RefusalCode.INVALID_INPUT, "20 substitutes already")
    stream.do(EndSubstitute(by=ANN, person="ann", number=1))
    stream.do(substitute())


def test_what_is_over_can_not_be_ended() -> None:
    stream = known()
    stream.do(substitute())
    stream.now = NOON + WEEK
    over = EndSubstitute(by=ANN, person="ann", number=1)
    stream.refuses(over, RefusalCode.INVALID_TRANSITION, "over already")
    unknown = EndSubstitute(by=ANN, person="ann", number=2)
    stream.refuses(unknown, RefusalCode.NOT_FOUND, "number 2")


@pytest.mark.parametrize(
    "event",
    [
        PersonRecorded(person="bob", source=PersonSource.ADMIN),
        SubstituteSet(number=2, substitute="bob", starts_at=NOON, ends_at=NOON + WEEK),
        Retried(),
    ],
)
def test_an_event_that_can_not_follow_is_refused(event: Event) -> None:
    state = known().person
    with pytest.raises(IllegalTransitionError):
        evolve(state, at(state.id, 2, ADAM, event, time_of(2)))
    with pytest.raises(IllegalTransitionError):
        evolve(None, at(state.id, 1, ADAM, PersonDeactivated(), time_of(1)))
