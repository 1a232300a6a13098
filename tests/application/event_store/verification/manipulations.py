"""What somebody can do to the database who may change every table, and what the audit says then."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple

from psycopg import Connection

from domain.approvals.policy import ExpiryAction
from domain.execution.events import (
    ApprovalExpired,
    ApprovalRedeemed,
    Cancelled,
    ChildContent,
    RequestContent,
    Resumed,
)
from domain.serialization.canonical_json import canonical, digest
from domain.values import Actor
from tests.application.event_store.verification.rewriting import (
    Rewrite,
    alter,
    append,
    drop,
    record,
    rewrite,
)
from tests.application.event_store.verification.story import Story
from tests.domain.ask import needs, policy

EXECUTIONS, APPROVALS = "read model executions", "read model approvals"
EARLIER = timedelta(days=1)
OTHER = {"cost": 999}

Do = Callable[[Connection[Any], Story], object]


class Manipulation(NamedTuple):
    """What somebody does to the database, and what is then found, of which execution."""

    sentence: str
    do: Do
    kind: str
    said: str
    of: str | None


def sql(sentence: str, statement: str, kind: str, said: str, of: str | None) -> Manipulation:
    def do(connection: Connection[Any], story: Story) -> None:
        for part in statement.split(";"):
            connection.execute(part, story)

    return Manipulation(sentence, do, kind, said, of)


def anew(sentence: str, of: str, *changes: Rewrite, kind: str, said: str) -> Manipulation:
    """The events of an execution are written anew, with new hashes."""

    def do(connection: Connection[Any], story: Story) -> None:
        rewrite(connection, story[of], *changes)

    return Manipulation(sentence, do, kind, said, of)


def edit(name: str, version: int, old: str, new: str) -> str:
    """The statement that replaces a text in the bytes of an event."""
    return (
        f"UPDATE execution_events SET state = convert_to(replace(convert_from(state, 'UTF8'),"
        f" '{old}', '{new}'), 'UTF8')"
        f" WHERE originator_id = %({name})s AND originator_version = {version}"
    )


def set_event(name: str, version: int, columns: str) -> str:
    return (
        f"UPDATE execution_events SET {columns}"
        f" WHERE originator_id = %({name})s AND originator_version = {version}"
    )


def actor(id_: str) -> Actor:
    return Actor(id=id_, name=id_.title())


REMOVE = "DELETE FROM execution_events WHERE originator_id = "

EVENTS = (
    sql(
        "the time of an event is changed",
        edit("permit", 3, '"at":"2', '"at":"1'),
        "event",
        "names the previous hash",
        "permit",
    ),
    sql(
        "the person of a decision is changed",
        edit("permit", 5, '"actor":"ann"', '"actor":"bob"'),
        "event",
        "names the previous hash",
        "permit",
    ),
    sql(
        "the bytes of an event are no JSON",
        set_event("permit", 3, "state = 'x'"),
        "event",
        "can't be read",
        "permit",
    ),
    sql(
        "the bytes of an event are removed",
        set_event("permit", 3, "state = NULL"),
        "event",
        "no event that can be read",
        "permit",
    ),
    sql(
        "a blank is added to the last event",
        set_event("permit", 9, r"state = state || '\x20'"),
        "event",
        "not the bytes that a server writes",
        "permit",
    ),
    sql(
        "the topic of an event is that of another type",
        set_event("permit", 3, "topic = 'execution.retried.v1'"),
        "event",
        "can't",
        "permit",
    ),
    sql(
        "the topic of an event is of no type",
        set_event("permit", 3, "topic = 'execution.nothing.v1'"),
        "event",
        "unknown topic",
        "permit",
    ),
    sql(
        "the topic of the last event is that of a type with the same fields",
        set_event("parked", 3, "topic = 'execution.cancelled.v1'"),
        "execution_holds",
        "the execution is CANCELLED",
        "parked",
    ),
    sql(
        "an event is deleted",
        f"{REMOVE}%(permit)s AND originator_version = 4",
        "event",
        "versions 4 to 4 are missing",
        "permit",
    ),
    sql(
        "the first event is deleted",
        f"{REMOVE}%(permit)s AND originator_version = 1",
        "event",
        "versions 1 to 1 are missing",
        "permit",
    ),
    sql(
        "the version of an event is raised",
        set_event("permit", 9, "originator_version = 30"),
        "event",
        "versions 9 to 29 are missing",
        "permit",
    ),
    sql(
        "the version of an event is made negative",
        set_event("permit", 9, "originator_version = -9"),
        "event",
        "no event that can be read",
        "permit",
    ),
    sql(
        "two versions are exchanged",
        set_event("permit", 8, "originator_version = 99")
        + ";"
        + set_event("permit", 9, "originator_version = 8")
        + ";"
        + set_event("permit", 99, "originator_version = 9"),
        "event",
        "names the previous hash",
        "permit",
    ),
    sql(
        "an event is moved to another execution",
        set_event("permit", 9, "originator_id = %(new)s, originator_version = 2"),
        "event",
        "names the previous hash",
        "new",
    ),
    sql(
        "the position of an event is moved to the end",
        set_event("permit", 3, "notification_id = 100000"),
        "event",
        "the position is not after 100000",
        "permit",
    ),
    sql(
        "the position of an event is 0",
        set_event("permit", 1, "notification_id = 0"),
        "event",
        "positions begin with 1",
        "permit",
    ),
    sql(
        "the two events of one commit are moved apart",
        set_event("permit", 7, "notification_id = notification_id + 100000")
        + ";"
        + set_event("permit", 8, "notification_id = notification_id + 100000")
        + ";"
        + set_event("permit", 9, "notification_id = notification_id + 100000"),
        "event",
        "its position does not follow",
        "permit",
    ),
    sql(
        "an event is inserted twice",
        "INSERT INTO execution_events SELECT originator_id, 10, topic, state FROM execution_events"
        " WHERE originator_id = %(permit)s AND originator_version = 9",
        "event",
        "names the previous hash",
        "permit",
    ),
    anew(
        "a time is set back, with new hashes",
        "permit",
        lambda events: record(3, at=events[2].at - EARLIER)(events),
        kind="event",
        said="is before",
    ),
    anew(
        "a time has no time zone, with new hashes",
        "permit",
        lambda events: record(3, at=events[2].at.replace(tzinfo=None))(events),
        kind="event",
        said="not in UTC",
    ),
    anew(
        "an event has no actor, with new hashes",
        "permit",
        record(3, actor=Actor(id="")),
        kind="event",
        said="no actor",
    ),
    anew(
        "an event belongs to another correlation, with new hashes",
        "permit",
        lambda events: record(3, correlation_id=events[2].command_id)(events),
        kind="event",
        said="correlation id",
    ),
    anew(
        "somebody else resumes the execution, with new hashes",
        "permit",
        record(7, actor=actor("mallory")),
        kind="event",
        said="is not 'cleo'",
    ),
    anew(
        "the execution resumes later, with new hashes",
        "permit",
        lambda events: record(7, at=events[7].at)(events),
        kind="event",
        said="that of the same command",
    ),
    anew(
        "another command resumes the execution, with new hashes",
        "permit",
        lambda events: record(7, command_id=events[7].command_id)(events),
        kind="event",
        said="another command id than the resolution",
    ),
    anew(
        "an execution resumes that does not wait, with new hashes",
        "new",
        append(Resumed()),
        kind="event",
        said="can't follow",
    ),
    anew(
        "an approval is redeemed twice, with new hashes",
        "permit",
        lambda events: [*events[:8], events[7], *events[8:]],
        kind="event",
        said="was redeemed already",
    ),
    anew(
        "a person fires a timer, with new hashes",
        "fired",
        record(3, actor=actor("mallory")),
        kind="event",
        said="fired a timer",
    ),
)

DECISIONS = (
    anew(
        "the payload is changed, with new hashes",
        "permit",
        alter(4, content=RequestContent(title="Trip", payload=OTHER)),
        kind="decision",
        said="the payload does not match its digest",
    ),
    anew(
        "the title is changed, with new hashes",
        "permit",
        alter(4, content=RequestContent(title="A trip", payload={"cost": 120})),
        kind="decision",
        said="the document does not match its digest",
    ),
    anew(
        "the policy is weakened, with new hashes",
        "permit",
        alter(4, policy=policy(needs("finance"))),
        kind="decision",
        said="the document does not match its digest",
    ),
    anew(
        "the policy asks for nobody, with new hashes",
        "permit",
        alter(4, policy=policy(needs(count=0))),
        kind="decision",
        said="asks for nobody",
    ),
    anew(
        "a decision names another document, with new hashes",
        "permit",
        alter(5, digest="sha256:" + "0" * 64),
        kind="decision",
        said="names another document",
    ),
    anew(
        "the initiator decides, with new hashes",
        "permit",
        record(5, actor=actor("olivia")),
        kind="decision",
        said="this person started the execution",
    ),
    anew(
        "the initiator decides under a name of another case, with new hashes",
        "permit",
        record(5, actor=actor("OLIVIA")),
        kind="decision",
        said="this person started the execution",
    ),
    anew(
        "the beneficiary decides, with new hashes",
        "permit",
        record(5, actor=actor("tom")),
        kind="decision",
        said="started on behalf of this person",
    ),
    anew(
        "the requester decides, with new hashes",
        "permit",
        record(5, actor=actor("engine")),
        kind="decision",
        said="this person requested the approval",
    ),
    anew(
        "somebody decides by a group that the policy does not name, with new hashes",
        "permit",
        alter(5, groups=("gardeners",), rule="group:gardeners"),
        kind="decision",
        said="no requirement names this person",
    ),
    anew(
        "a decision counts a further group, with new hashes",
        "permit",
        alter(5, groups=("finance", "gardeners")),
        kind="decision",
        said="of which the policy names ('finance',)",
    ),
    anew(
        "a decision gives another reason, with new hashes",
        "permit",
        alter(5, rule="user:ann"),
        kind="decision",
        said="makes 'ann' eligible",
    ),
    anew(
        "one person decides twice, with new hashes",
        "permit",
        record(6, actor=actor("ann")),
        record(7, actor=actor("ann")),
        kind="decision",
        said="decided already",
    ),
    anew(
        "the first of two decisions resolves, with new hashes",
        "waiting",
        alter(5, resolves=True),
        kind="decision",
        said="but the policy asks for more",
    ),
    anew(
        "the last decision does not resolve, with new hashes",
        "permit",
        alter(6, resolves=False),
        kind="decision",
        said="but the policy asks for no more",
    ),
    anew(
        "a decision is removed, with new hashes",
        "permit",
        drop(5),
        kind="decision",
        said="but the policy asks for more",
    ),
    anew(
        "a rejection leaves the approval pending, with new hashes",
        "retried",
        alter(4, resolves=False),
        kind="decision",
        said="but the policy asks for no more",
    ),
    anew(
        "the event Resumed is removed at the end, with new hashes",
        "permit",
        lambda events: events[:6],
        kind="decision",
        said="does not resume",
    ),
    anew(
        "the event Resumed is removed in between, with new hashes",
        "permit",
        drop(7),
        kind="decision",
        said="did not resume",
    ),
    anew(
        "an approval expires in favour of the request, with new hashes",
        "waiting",
        append(ApprovalExpired(ordinal=1, action=ExpiryAction.GRANT)),
        kind="decision",
        said="its deadline is None",
    ),
    anew(
        "an execution ends and leaves an approval pending, with new hashes",
        "waiting",
        append(Cancelled()),
        kind="decision",
        said="ends with 1 approvals pending",
    ),
    anew(
        "another payload is redeemed, with new hashes",
        "permit",
        alter(8, payload_digest=digest(canonical(OTHER))),
        kind="decision",
        said="not the granted one",
    ),
    anew(
        "an approval that was not granted is redeemed, with new hashes",
        "waiting",
        append(ApprovalRedeemed(ordinal=1, payload_digest="sha256:0", redemption_key="x")),
        kind="event",
        said="is PENDING, not GRANTED",
    ),
    anew(
        "a round is left out, with new hashes",
        "retried",
        alter(8, round=3),
        kind="decision",
        said="it is round 3",
    ),
    anew(
        "a question is asked again without a retry, with new hashes",
        "cancelled",
        alter(3, key="one", round=2),
        kind="decision",
        said="is asked for again",
    ),
    anew(
        "a fence is left out, with new hashes",
        "permit",
        alter(2, fence=2),
        kind="claim",
        said="the fence is 2 after 0",
    ),
)

FAMILIES = (
    anew(
        "the outcome of a child is changed in its parent, with new hashes",
        "parent",
        alter(3, content=ChildContent(result={"room": 13})),
        kind="child",
        said="did not end as the parent has recorded",
    ),
    anew(
        "a person reports the end of a child, with new hashes",
        "parent",
        record(3, actor=actor("mallory")),
        kind="child",
        said="reports the end of the child",
    ),
    Manipulation(
        "the end of a child is removed",
        lambda c, s: rewrite(c, s["child"], drop(2)),
        "child",
        "did not end as the parent has recorded",
        "parent",
    ),
    Manipulation(
        "the initiator of a child is changed, with new hashes",
        lambda c, s: rewrite(c, s["child"], record(1, actor=actor("mallory"))),
        "child",
        "another initiator",
        "parent",
    ),
    Manipulation(
        "a child says nothing of its parent, with new hashes",
        lambda c, s: rewrite(c, s["child"], alter(1, parent=None)),
        "child",
        "says nothing of its parent",
        "parent",
    ),
    anew(
        "a parent orders another child, with new hashes",
        "parent",
        lambda events: alter(2, child_id=events[0].command_id)(events),
        kind="child",
        said="is not the one that follows from its key",
    ),
    sql(
        "a child is removed with all its traces",
        f"{REMOVE}%(child)s; DELETE FROM executions WHERE id = %(child)s;"
        "DELETE FROM execution_terms WHERE id = %(child)s",
        "child",
        "has no events",
        "parent",
    ),
    sql(
        "a parent is removed with all its traces",
        f"{REMOVE}%(parent)s; DELETE FROM executions WHERE id = %(parent)s;"
        "DELETE FROM execution_terms WHERE id = %(parent)s;"
        "DELETE FROM execution_holds WHERE execution_id = %(parent)s",
        "child",
        "has no events",
        "child",
    ),
)


def set_hold(name: str, columns: str) -> str:
    return f"UPDATE execution_holds SET {columns} WHERE execution_id = %({name})s"


HOLDS, TIMERS, KEYS = "execution_holds", "execution_timers", "start_keys"
SNAPSHOTS = "execution_snapshots"
UNKNOWN = "'0190f1a6-0000-7000-8000-000000000001'"

SIDE_TABLES = (
    sql("a hold is deleted", "DELETE FROM execution_holds WHERE execution_id = %(new)s",
        HOLDS, "there is no row", "new"),
    sql("a final execution gets a hold",
        "INSERT INTO execution_holds (execution_id, queue, progress)"
        " VALUES (%(permit)s, 'default', true)",
        HOLDS, "the execution is COMPLETED", "permit"),
    sql("a hold is for no execution",
        "INSERT INTO execution_holds (execution_id, queue, progress)"
        f" VALUES ({UNKNOWN}, 'default', true)",
        HOLDS, "no event of it", None),
    sql("the queue is changed", set_hold("new", "queue = 'other'"), HOLDS, "the queue", "new"),
    sql("an execution that waits has work to do", set_hold("waiting", "progress = true"),
        HOLDS, "progress is True", "waiting"),
    sql("the woken version is changed", set_hold("new", "woken_version = 7"),
        HOLDS, "the woken version is 7", "new"),
    sql("an execution is never given out again", set_hold("released", "released_version = 1000"),
        HOLDS, "released at version 1000", "released"),
    sql("a parked execution is released", set_hold("parked", "released_version = -1"),
        HOLDS, "released at version -1", "parked"),
    sql("another worker holds it", set_hold("waiting", "worker = 'mine'"),
        HOLDS, "'mine' of 'engine' holds it", "waiting"),
    sql("the worker of another owner holds it", set_hold("waiting", "owner = 'mallory'"),
        HOLDS, "of 'mallory' holds it", "waiting"),
    sql("a worker holds a parked execution",
        set_hold("parked", "owner = 'engine', worker = 'worker-1'"),
        HOLDS, "but nobody claimed it last", "parked"),
    sql("the fence is changed", set_hold("waiting", "fence = 9"), HOLDS, "the fence is 9",
        "waiting"),
    sql("a lost hold is of no execution",
        f"INSERT INTO lost_holds VALUES ('engine', 'worker-1', {UNKNOWN})",
        "lost_holds", "which has no event", None),
    sql("a timer is deleted", "DELETE FROM execution_timers", TIMERS, "not at None", "waiting"),
    sql("a timer is put off", "UPDATE execution_timers SET fires_at = 'infinity'",
        TIMERS, "timer 'due' fires at", "waiting"),
    sql("a timer is put forward", "UPDATE execution_timers SET fires_at = now()",
        TIMERS, "timer 'due' fires at", "waiting"),
    sql("a timer is of another setting", "UPDATE execution_timers SET set_version = 1",
        TIMERS, "was set at version 3, not 1", "waiting"),
    sql("a timer is added", "INSERT INTO execution_timers VALUES (%(new)s, 'x', now(), 1)",
        TIMERS, "'x', which is not pending", "new"),
    sql("a start key is deleted", "DELETE FROM start_keys WHERE key = 'trip-1'",
        KEYS, "no row for its start key 'trip-1'", "permit"),
    sql("a start key leads to another execution",
        "UPDATE start_keys SET execution_id = %(new)s WHERE key = 'trip-1'",
        KEYS, "not started with the key 'trip-1'", "new"),
    sql("a start key is of another owner",
        "UPDATE start_keys SET owner = 'mallory' WHERE key = 'trip-1'",
        KEYS, "no row for its start key", "permit"),
    sql("a start key is of no execution",
        f"INSERT INTO start_keys VALUES ('olivia', 'travel', 'x', {UNKNOWN})",
        KEYS, "no event of it", None),
    sql("a snapshot is changed",
        "UPDATE execution_snapshots SET state ="
        " convert_to(replace(convert_from(state, 'UTF8'), '100', '999'), 'UTF8')",
        SNAPSHOTS, "contradicts the events", "long"),
    sql("a snapshot is of another version",
        "UPDATE execution_snapshots SET originator_version = 50",
        SNAPSHOTS, "contradicts the events", "long"),
    sql("a snapshot is of a version that is not there",
        "UPDATE execution_snapshots SET originator_version = 5000",
        SNAPSHOTS, "which the execution does not have", "long"),
    sql("a snapshot is of no execution",
        f"UPDATE execution_snapshots SET originator_id = {UNKNOWN}",
        SNAPSHOTS, "no event of it", None),
)  # fmt: skip

READ_MODELS = (
    sql("the time of the last event is changed", edit("permit", 9, '"at":"2', '"at":"3'),
        EXECUTIONS, "updated_at is", "permit"),
    sql("the last event is deleted", f"{REMOVE}%(permit)s AND originator_version = 9",
        EXECUTIONS, "version is 9, not 8", "permit"),
    sql("all events of an execution are deleted", f"{REMOVE}%(permit)s",
        EXECUTIONS, "no event of it", "permit"),
    sql("a decision is made by somebody else, as the last event",
        edit("waiting", 5, '"actor":"bob"', '"actor":"eve"'),
        APPROVALS, "body differs", "waiting"),
    sql("the state in the list is changed",
        "UPDATE executions SET state = 'COMPLETED' WHERE id = %(new)s",
        EXECUTIONS, "state is COMPLETED, not RUNNING", "new"),
    sql("what the list shows is changed",
        "UPDATE executions SET body = (SELECT body FROM executions WHERE id = %(new)s)"
        " WHERE id = %(permit)s",
        EXECUTIONS, "body differs", "permit"),
    sql("a time in the list is infinite",
        "UPDATE executions SET updated_at = 'infinity' WHERE id = %(new)s",
        EXECUTIONS, "updated_at is None", "new"),
    sql("an approval has no end",
        "UPDATE approvals SET due = '-infinity' WHERE execution_id = %(waiting)s",
        APPROVALS, "deadline is 0001", "waiting"),
    sql("an execution is removed from the list", "DELETE FROM executions WHERE id = %(new)s",
        EXECUTIONS, "the row is missing", "new"),
    sql("an execution is added to the list",
        f"INSERT INTO executions SELECT {UNKNOWN}, version, state, parked, workflow, queue,"
        " initiator, started_at, updated_at, body FROM executions WHERE id = %(new)s",
        EXECUTIONS, "no event of it", None),
    sql("an execution is not found by its labels",
        "UPDATE execution_terms SET labels = '{}' WHERE id = %(permit)s",
        EXECUTIONS, "words or labels", "permit"),
    sql("an execution is not found by its words",
        "UPDATE execution_terms SET search = '' WHERE id = %(permit)s",
        EXECUTIONS, "words or labels", "permit"),
    sql("an execution has no words", "DELETE FROM execution_terms WHERE id = %(permit)s",
        EXECUTIONS, "words or labels", "permit"),
    sql("words are of no execution",
        f"INSERT INTO execution_terms VALUES ({UNKNOWN}, '{{}}', '')",
        EXECUTIONS, "words to search by, but no row", None),
    sql("an approval is shown as granted",
        "UPDATE approvals SET status = 'GRANTED' WHERE execution_id = %(waiting)s",
        APPROVALS, "approval 1: status is GRANTED, not PENDING", "waiting"),
    sql("others may see an approval",
        "UPDATE approvals SET audience = '{}' WHERE execution_id = %(waiting)s",
        APPROVALS, "audience is {}", "waiting"),
    sql("nobody is kept from an approval",
        "UPDATE approvals SET barred = '{}' WHERE execution_id = %(waiting)s",
        APPROVALS, "barred is {}", "waiting"),
    sql("an approval is due earlier",
        "UPDATE approvals SET due = now() WHERE execution_id = %(waiting)s",
        APPROVALS, "deadline is", "waiting"),
    sql("an approval is removed from the list",
        "DELETE FROM approvals WHERE execution_id = %(waiting)s",
        APPROVALS, "the row is missing", "waiting"),
    sql("an approval is added to the list",
        "UPDATE approvals SET ordinal = 7 WHERE execution_id = %(waiting)s",
        APPROVALS, "a row that no event gives", "waiting"),
    sql("an approval is not found by its words",
        "UPDATE approval_terms SET search = '' WHERE execution_id = %(waiting)s",
        APPROVALS, "words or labels", "waiting"),
)  # fmt: skip

POSITIONS = (
    sql("the end of the log is cut off",
        "DELETE FROM execution_events"
        " WHERE notification_id = (SELECT max(notification_id) FROM execution_events)",
        "position", "but no event is there", None),
    sql("a read model is set to where nothing is",
        "UPDATE projection_positions SET position = 100000 WHERE name = 'approvals'",
        "position", "approvals has read the log up to position 100000", None),
    sql("the sequence is set back",
        "ALTER SEQUENCE execution_events_notification_id_seq RESTART WITH 5",
        "position", "the sequence is at 4", None),
    sql("two events have one position",
        "DROP INDEX execution_events_notification_id_idx;"
        "UPDATE execution_events SET notification_id = 1 WHERE originator_id = %(new)s",
        "position", "is that of two events", None),
)  # fmt: skip

MANIPULATIONS = (*EVENTS, *DECISIONS, *FAMILIES, *SIDE_TABLES, *READ_MODELS, *POSITIONS)
