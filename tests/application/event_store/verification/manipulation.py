"""What somebody does to the database who may change every table, and what is then found."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple

from psycopg import Connection

from domain.values import Actor
from tests.application.event_store.verification.rewriting import (
    Rewrite,
    rewrite,
)
from tests.application.event_store.verification.story import Story

EARLIER = timedelta(days=1)
OTHER = {"cost": 999}
REMOVE = "DELETE FROM execution_events WHERE originator_id = "
SNAPSHOTS = "execution_snapshots"

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
