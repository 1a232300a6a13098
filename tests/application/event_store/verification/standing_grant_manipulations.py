"""What somebody can do to standing grants and their uses, and what the audit says then."""

from datetime import timedelta
from typing import Any

from psycopg import Connection

from application.event_store.verification.standing_grants import KIND, TABLE
from domain.execution.event import ReasonContent
from domain.execution.events import Recorded
from domain.standing_grants.events import StandingGrantContent, StandingGrantUseReturned
from tests.application.event_store.verification.manipulation import (
    REMOVE,
    Manipulation,
    actor,
    anew,
    sql,
)
from tests.application.event_store.verification.rewriting import (
    Rewrite,
    alter,
    append,
    drop,
    record,
    rewrite,
)
from tests.application.event_store.verification.story import Story


def _expires_later(by: timedelta) -> Rewrite:
    def change(events: list[Recorded]) -> list[Recorded]:
        later = events[0].event.expires_at + by  # type: ignore[attr-defined]
        return alter(1, expires_at=later)(events)

    return change


def _returned(events: list[Recorded]) -> list[Recorded]:
    used: Any = events[-1].event
    event = StandingGrantUseReturned(
        approval_id=used.approval_id,
        asked_version=used.asked_version,
        content=ReasonContent(reason="late"),
    )
    return append(event)(events)


def _exchange_positions(connection: Connection[Any], story: Story) -> None:
    """The approval comes to stand before the creation of the grant."""
    connection.execute(
        "UPDATE execution_events SET notification_id = notification_id - 100000"
        " WHERE originator_id = %(allowed)s AND originator_version <= 2",
        story,
    )


def in_grant(sentence: str, *changes: Rewrite, said: str, of: str = "standing") -> Manipulation:
    def do(connection: Connection[Any], story: Story) -> None:
        rewrite(connection, story["standing"], *changes)

    return Manipulation(sentence, do, KIND, said, of)


def in_execution(sentence: str, *changes: Rewrite, said: str, kind: str = KIND) -> Manipulation:
    return anew(sentence, "allowed", *changes, kind=kind, said=said)


STANDING_GRANTS = (
    in_grant("a grant allows too many uses", alter(1, max_uses=5_000), said="allows 5000 uses"),
    in_grant("a grant is too long", _expires_later(timedelta(days=100)), said="the limit is"),
    in_grant("its owner may not decide", alter(1, roles=()), said="may not decide approvals"),
    in_grant("its key is changed", alter(1, idempotency_key="a"), said="does not follow from its"),
    in_grant("a person takes a use", record(2, actor=actor("ann")), said="took or returned a use"),
    in_grant("a use is removed", drop(2), said="has no use for this decision", of="allowed"),
    in_grant("a use is given back", _returned, said="was given back, and approval"),
    in_grant("a use is given back", _returned, said="no use for this decision", of="allowed"),
    in_grant(
        "its owner is changed",
        record(1, actor=actor("bob")),
        alter(1, idempotency_key=None),
        said="but 'bob' created the grant",
        of="allowed",
    ),
    in_grant(
        "its groups are changed",
        alter(1, groups=("finance",)),
        said="it counts with the groups",
        of="allowed",
    ),
    in_grant(
        "its schema is changed",
        alter(1, content=StandingGrantContent(payload_schema=False, comment="none")),
        said="does not cover this approval",
        of="allowed",
    ),
    in_execution(
        "a person decides by a grant", record(3, actor=actor("ann")), said="'ann' decided"
    ),
    in_execution(
        "a decision names another grant",
        lambda events: alter(3, standing_grant_id=events[0].command_id)(events),
        said="there is no standing grant",
    ),
    in_execution(
        "the server decides for somebody without a grant",
        alter(3, standing_grant_id=None),
        said="'placet' decided for 'ann'",
        kind="decision",
    ),
    in_execution("a decision names another use", alter(3, key="other"), said="has no use for this"),
    sql(
        "an approval that was decided in advance is removed with all its traces",
        f"{REMOVE}%(allowed)s; DELETE FROM executions WHERE id = %(allowed)s;"
        "DELETE FROM execution_terms WHERE id = %(allowed)s;"
        "DELETE FROM approvals WHERE execution_id = %(allowed)s;"
        "DELETE FROM approval_terms WHERE execution_id = %(allowed)s;"
        "DELETE FROM execution_holds WHERE execution_id = %(allowed)s",
        KIND,
        "has 0 decisions by it",
        "standing",
    ),
    sql(
        "a grant is removed with all its traces",
        f"{REMOVE}%(standing)s; DELETE FROM standing_grants WHERE id = %(standing)s;"
        "DELETE FROM open_standing_grants WHERE grant_id = %(standing)s",
        KIND,
        "there is no standing grant",
        "allowed",
    ),
    Manipulation(
        "an approval is put before the grant in the log",
        _exchange_positions,
        KIND,
        "was requested before the standing grant",
        "allowed",
    ),
    sql(
        "a grant that is open is made to end later in its row",
        "UPDATE open_standing_grants SET expires_at = expires_at + interval '1 day'",
        TABLE,
        "it expires at",
        "standing",
    ),
    sql(
        "the row of an open grant is removed",
        "DELETE FROM open_standing_grants",
        TABLE,
        "there is no row",
        "standing",
    ),
    sql(
        "a row of the read model says that a grant is revoked",
        "UPDATE standing_grants SET revoked = true",
        "read model standing_grants",
        "revoked is True",
        "standing",
    ),
)
