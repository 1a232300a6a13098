"""What somebody can do to the people and their substitutes, and what the audit says then."""

from psycopg import Connection

from application.event_store.verification.directory import KIND
from domain.directory.state import PersonSource
from tests.application.event_store.verification.manipulation import (
    REMOVE,
    Manipulation,
    actor,
    sql,
)
from tests.application.event_store.verification.rewriting import Rewrite, alter, record, rewrite
from tests.application.event_store.verification.story import Story

PEOPLE, SUBSTITUTES = "people", "substitutes"
ADDED = (
    "INSERT INTO people (stream_id, id, emails, folded_emails, groups, roles, active, source)"
    " VALUES (gen_random_uuid(), 'mallory', '{}', '{}', '{finance}', '{APPROVER}', true, 'ADMIN')"
)
MALLORY = (
    "INSERT INTO substitutes VALUES"
    " (%(person)s, 3, 'ann', 'mallory', NULL, now(), now() + interval '1 day', 'ann')"
)


def in_person(sentence: str, *changes: Rewrite, said: str, kind: str = KIND) -> Manipulation:
    def do(connection: Connection[object], story: Story) -> None:
        rewrite(connection, story["person"], *changes)

    return Manipulation(sentence, do, kind, said, "person")


DIRECTORY = (
    sql("a person gets a group", "UPDATE people SET groups = groups || '{board}'::text[]",
        PEOPLE, "1 values are not what the events give", "person"),
    sql("a person gets another address", "UPDATE people SET folded_emails = '{eve@example.org}'",
        PEOPLE, "1 values are not", "person"),
    sql("a person is deactivated without an event", "UPDATE people SET active = false",
        PEOPLE, "1 values are not", "person"),
    sql("a person is deleted", "DELETE FROM people", PEOPLE, "0 rows", "person"),
    sql("a person is added", ADDED, PEOPLE, "no event of it", None),
    sql("a substitute is added", MALLORY, SUBSTITUTES, "2 rows", "person"),
    sql("a substitute goes on", "UPDATE substitutes SET ends_at = 'infinity'",
        SUBSTITUTES, "1 values are not", "person"),
    sql("the events of a person are removed", f"{REMOVE} %(person)s", PEOPLE, "no event of it",
        None),
    in_person("another person is recorded", alter(1, person="bob"), said="is not that of 'bob'"),
    in_person("somebody says who signed in", alter(1, source=PersonSource.TOKEN),
        said="'adam' recorded that 'ann' has signed in"),
    in_person("another substitute was named", alter(3, substitute="mallory"), said="1 values",
        kind=SUBSTITUTES),
    in_person("somebody else named the substitute", record(3, actor=actor("mallory")),
        said="1 values", kind=SUBSTITUTES),
)  # fmt: skip
