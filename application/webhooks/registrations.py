"""The webhooks of one database: where they go, which events they get, and their secrets."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString
from uuid import UUID, uuid4

import msgspec
import psycopg
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from application.one_at_a_time import one_at_a_time
from application.webhooks.event_types import TYPES
from domain import validation
from domain.names import normal, normal_set

MAX_WEBHOOKS = 100
MAX_FILTER = 100
"""How many types, workflows or groups one webhook can name."""
MAX_OVERLAP = timedelta(days=30)
"""How long the secret before the last rotation may stay valid at most."""

_CREATE = """
    INSERT INTO webhooks (
        id, name, url, types, workflows, groups, include_payload, secret, created_by,
        since_position
    )
    SELECT %(id)s, %(name)s, %(url)s, %(types)s, %(workflows)s, %(groups)s, %(include_payload)s,
        %(secret)s, %(by)s, (SELECT coalesce(max(notification_id), 0) FROM execution_events)
    WHERE (SELECT count(*) FROM webhooks WHERE deleted_at IS NULL) < %(most)s
    RETURNING *
"""
_ALL = "SELECT * FROM webhooks WHERE deleted_at IS NULL ORDER BY created_at, name"
_IN_USE = """
    SELECT w.*, p.position AS end_position
    FROM (SELECT coalesce(max(notification_id), 0) AS position FROM execution_events) AS p
    LEFT JOIN webhooks AS w ON deleted_at IS NULL AND disabled_at IS NULL
"""
_NAMED = "SELECT * FROM webhooks WHERE deleted_at IS NULL AND name = %s"
_BY_ID = "SELECT * FROM webhooks WHERE deleted_at IS NULL AND id = %s"
_ROTATE = """
    UPDATE webhooks SET secret = %(secret)s, rotated_at = clock_timestamp(), rotated_by = %(by)s,
        previous_secret = CASE WHEN %(overlap)s > interval '0' THEN secret END,
        previous_until
            = CASE WHEN %(overlap)s > interval '0' THEN clock_timestamp() + %(overlap)s END
    WHERE id = %(id)s AND deleted_at IS NULL RETURNING *
"""
# Its row stays, so that it can be seen who deleted it; its secrets don't.
_DELETE = """
    UPDATE webhooks SET deleted_at = clock_timestamp(), deleted_by = %(by)s, secret = NULL,
        previous_secret = NULL, previous_until = NULL
    WHERE id = %(id)s AND deleted_at IS NULL RETURNING *
"""
_DISABLE = """
    UPDATE webhooks SET disabled_at = clock_timestamp(), disabled_reason = %s
    WHERE id = %s AND disabled_at IS NULL RETURNING id
"""
# By the database's clock, so that all servers stop signing with a secret at the same moment.
_SIGNING = """
    SELECT w.*, ARRAY[secret] || CASE
        WHEN previous_until > clock_timestamp() THEN ARRAY[previous_secret] ELSE '{}' END AS secrets
    FROM webhooks AS w WHERE id = %s AND deleted_at IS NULL AND disabled_at IS NULL
"""


class WebhookError(Exception):
    """The webhook can't be made, or is not there. The message says why."""


class DuplicateWebhookError(WebhookError):
    """There is a webhook of this name already."""


class UnknownWebhookError(WebhookError):
    """There is no webhook with this id, or it was deleted."""


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook without its secrets.

    It gets the events whose type, workflow and group it names; an empty set means all. A group is
    one that the policy of the approval names, or to which the approval was escalated.
    ``include_payload``: bodies hold what the approval asks for and what people wrote. The secret
    before the last rotation is valid until ``previous_until``. It gets the events after
    ``since_position`` of the log, which is where the log ended when it was made. Nothing is sent to
    one that is disabled. Who made and rotated it is None if it was done from the command line. All
    times are in UTC.
    """

    id: UUID
    name: str
    url: str
    types: frozenset[str]
    workflows: frozenset[str]
    groups: frozenset[str]
    include_payload: bool
    since_position: int
    created_at: datetime
    created_by: str | None = None
    rotated_at: datetime | None = None
    rotated_by: str | None = None
    previous_until: datetime | None = None
    disabled_at: datetime | None = None
    disabled_reason: str | None = None

    def gets(self, type_: str, position: int) -> bool:
        """Whether it can get an event of this type at this position of the log."""
        if self.disabled_at is not None or position <= self.since_position:
            return False
        return not self.types or type_ in self.types

    def wants(self, workflow: str, groups: Iterable[str]) -> bool:
        """Whether it is told of an approval of this workflow for these groups."""
        if self.workflows and workflow not in self.workflows:
            return False
        return not self.groups or not self.groups.isdisjoint(normal_set(groups))

    def shown(self) -> dict[str, Any]:
        """Return the webhook as JSON, with its sets sorted."""
        shown: dict[str, Any] = msgspec.to_builtins(self, order="deterministic")
        return shown


class Webhooks:
    """The webhooks of one database. Raises psycopg errors if it is unavailable."""

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool

    async def create(
        self,
        name: str,
        url: str,
        secret: str,
        *,
        types: Iterable[str] = (),
        workflows: Iterable[str] = (),
        groups: Iterable[str] = (),
        include_payload: bool = False,
        by: str | None = None,
    ) -> Webhook:
        """Store a webhook and return it. The caller has checked the URL.

        Raises ValueError for an invalid name, for a type that does not exist and for too many of
        anything, and DuplicateWebhookError for a name that is in use.
        """
        given = {
            "types": sorted(set(types)),
            "workflows": sorted(set(workflows)),
            "groups": sorted(normal_set(groups)),
        }
        if problem := _problem(name, **given):
            raise ValueError(problem)
        params = {
            **given,
            "id": uuid4(),
            "name": normal(name),
            "url": url,
            "include_payload": include_payload,
            "secret": secret,
            "by": by,
            "most": MAX_WEBHOOKS,
        }
        try:
            async with one_at_a_time(self._pool, "webhooks") as connection:
                cursor = connection.cursor(row_factory=dict_row)
                rows = await (await cursor.execute(_CREATE, params)).fetchall()
        except psycopg.errors.UniqueViolation as error:
            raise DuplicateWebhookError(
                f"there is a webhook named {name!r} already; choose another name, or delete that "
                "one before"
            ) from error
        if not rows:
            raise ValueError(f"there are {MAX_WEBHOOKS} webhooks already; delete one before")
        return _webhook(rows[0])

    async def rotate(
        self, id_: UUID, secret: str, *, overlap: timedelta, by: str | None = None
    ) -> Webhook:
        """Give a webhook another secret. Messages are signed with both for the time ``overlap``.

        A secret before these two is no longer used. Raises UnknownWebhookError, and ValueError for
        an overlap of more than 30 days.
        """
        if not timedelta(0) <= overlap <= MAX_OVERLAP:
            raise ValueError(f"the old secret can stay valid for 0 to {MAX_OVERLAP.days} days")
        params = {"id": id_, "secret": secret, "overlap": overlap, "by": by}
        return _only(await self._rows(_ROTATE, params), id_)

    async def delete(self, id_: UUID, by: str | None = None) -> Webhook:
        """Delete a webhook and forget its secrets. Raises UnknownWebhookError."""
        return _only(await self._rows(_DELETE, {"id": id_, "by": by}), id_)

    async def disable(self, id_: UUID, reason: str) -> bool:
        """Send nothing more to it. False if that was so before."""
        return bool(await self._rows(_DISABLE, (reason, id_)))

    async def all(self) -> list[Webhook]:
        """Return all webhooks that were not deleted, in the order of their creation."""
        return [_webhook(row) for row in await self._rows(_ALL, ())]

    async def in_use(self) -> tuple[list[Webhook], int]:
        """Return the webhooks that are not disabled, and a position of the log.

        Webhooks that are made from now on get no event up to this position.
        """
        rows = await self._rows(_IN_USE, ())
        found = [_webhook(row) for row in rows if row["id"] is not None]
        return found, rows[0]["end_position"]

    async def named(self, name: str) -> Webhook | None:
        """Return the webhook of this name."""
        rows = await self._rows(_NAMED, (normal(name),))
        return _webhook(rows[0]) if rows else None

    async def with_id(self, id_: UUID) -> Webhook | None:
        """Return the webhook with this id."""
        rows = await self._rows(_BY_ID, (id_,))
        return _webhook(rows[0]) if rows else None

    async def signing(self, id_: UUID) -> tuple[Webhook, Sequence[str]] | None:
        """Return a webhook and the secrets to sign with, the newest first.

        None if it was deleted or is disabled.
        """
        rows = await self._rows(_SIGNING, (id_,))
        return (_webhook(rows[0]), rows[0]["secrets"]) if rows else None

    async def _rows(
        self, statement: LiteralString, params: tuple[Any, ...] | dict[str, Any]
    ) -> list[dict[str, Any]]:
        async with self._pool.connection() as connection:
            cursor = connection.cursor(row_factory=dict_row)
            await cursor.execute(statement, params)
            return await cursor.fetchall()


def _problem(name: str, **given: list[str]) -> str | None:
    for field, values in given.items():
        if len(values) > MAX_FILTER:
            return f"{field} has {len(values)} entries, at most {MAX_FILTER} are possible"
    unknown = next((one for one in given["types"] if one not in TYPES.values()), None)
    return validation.first(
        validation.name(name, "name"),
        *(validation.name(workflow, "workflow") for workflow in given["workflows"]),
        *(validation.name(group, "group") for group in given["groups"]),
        None
        if unknown is None
        else f"there is no type {unknown[:100]!r}; there are {', '.join(TYPES.values())}",
    )


def _only(rows: list[dict[str, Any]], id_: UUID) -> Webhook:
    if not rows:
        raise UnknownWebhookError(f"there is no webhook {id_}")
    return _webhook(rows[0])


def _webhook(row: dict[str, Any]) -> Webhook:
    def utc(moment: datetime | None) -> datetime | None:
        return None if moment is None else moment.astimezone(UTC)

    return Webhook(
        id=row["id"],
        name=row["name"],
        url=row["url"],
        types=frozenset(row["types"]),
        workflows=frozenset(row["workflows"]),
        groups=frozenset(row["groups"]),
        include_payload=row["include_payload"],
        since_position=row["since_position"],
        created_at=row["created_at"].astimezone(UTC),
        created_by=row["created_by"],
        rotated_at=utc(row["rotated_at"]),
        rotated_by=row["rotated_by"],
        previous_until=utc(row["previous_until"]),
        disabled_at=utc(row["disabled_at"]),
        disabled_reason=row["disabled_reason"],
    )
