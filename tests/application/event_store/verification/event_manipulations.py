"""What somebody can do to the events of the log, and what the audit says then."""

from domain.execution.events import (
    ChildContent,
    Resumed,
)
from domain.values import Actor
from tests.application.event_store.verification.manipulation import (
    EARLIER,
    REMOVE,
    Manipulation,
    actor,
    anew,
    edit,
    set_event,
    sql,
)
from tests.application.event_store.verification.rewriting import (
    alter,
    append,
    drop,
    record,
    rewrite,
)

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
