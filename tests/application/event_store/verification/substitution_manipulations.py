"""What somebody can do to the decisions of substitutes, and what the audit says then."""

from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg import Connection

from application.event_store.verification import deadlines
from application.event_store.verification.substitutions import KIND
from domain.execution.events import Recorded
from domain.values import SubstitutionRef
from tests.application.event_store.verification.manipulation import (
    REMOVE,
    Manipulation,
    actor,
    anew,
    sql,
)
from tests.application.event_store.verification.rewriting import Rewrite, alter, record, rewrite
from tests.application.event_store.verification.story import Story

DAY = timedelta(days=1)


def in_person(sentence: str, *changes: Rewrite, said: str) -> Manipulation:
    def do(connection: Connection[object], story: Story) -> None:
        rewrite(connection, story["person"], *changes)

    return Manipulation(sentence, do, KIND, said, "substituted")


def decided(sentence: str, change: Rewrite, said: str, kind: str = KIND) -> Manipulation:
    return anew(sentence, "substituted", change, kind=kind, said=said)


def with_ref(**fields: Any) -> Rewrite:
    """Change what the decision says of the substitution."""

    def change(events: list[Recorded]) -> list[Recorded]:
        known: Any = events[2].event
        given = {"number": 2, "since": known.substitution.since, "only_groups": True, **fields}
        return alter(3, substitution=SubstitutionRef(**given))(events)

    return change


SUBSTITUTIONS = (
    decided("somebody else decides for an absent person", record(3, actor=actor("mallory")),
        "did not make 'mallory' their substitute"),
    decided("a decision is for somebody who named nobody", alter(3, on_behalf_of="cleo"),
        "substitution 2 of 'cleo' did not make 'bob'"),
    decided("a substitution is made up", with_ref(number=3), "did not make 'bob'"),
    decided("a substitution gets another beginning", with_ref(since=None),
        "is not what the decision says"),
    decided("a substitution for a group is one for all", with_ref(only_groups=False),
        "is not what the decision says"),
    decided("a substitute gets more groups", alter(3, groups=("finance", "managers")),
        "does not cover the groups managers"),
    decided("a decision of a substitute is for nobody", alter(3, on_behalf_of=None),
        "it counts for", deadlines.KIND),
    in_person("an absent person gets another substitute", alter(3, substitute="mallory"),
        said="did not make 'bob'"),
    in_person("an absence is over before the decision",
        alter(3, starts_at=datetime.now(UTC) - 2 * DAY, ends_at=datetime.now(UTC) - DAY),
        said="not at"),
    in_person("a substitution was ended before the decision",
        record(4, at=datetime.now(UTC) - DAY), alter(4, number=2), said="had been ended before"),
    in_person("an absent person was not in the group", alter(1, groups=("legal",)),
        said="does not cover the groups finance"),
    sql("an absent person is removed", f"{REMOVE} %(person)s", KIND, "did not make 'bob'",
        "substituted"),
)  # fmt: skip
