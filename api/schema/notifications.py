"""What people are told: their preferences, and the messages of the outbox."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated

import strawberry
from msgspec.structs import replace
from strawberry.types import Info

from api.context import Context, context_of
from api.errors import bad_request, forbidden
from api.schema.arguments import After, First, described
from api.schema.authorized_lookups import visible_approval
from api.schema.enums import MessageKind, MessageStatus, MessageTiming, RefusalCode
from api.schema.ids import approval_id_of, execution_id_of
from api.schema.inputs.notifications import NotificationPreferencesInput
from api.schema.limits import check_values, page_size
from api.schema.nodes import Approval
from api.schema.paging import PageInfo, number_of
from application.notifications.outbox_query import OutboxFilter, OutboxRow, Place
from application.notifications.preferences import DEFAULT, Preferences
from domain import authorization
from domain.identifiers import parse_uuid
from domain.names import normal

_NEEDS_ADMIN = "sending messages again needs the role ADMIN"
_OTHERS = "the messages of others are seen with the role ADMIN only"


@strawberry.type(description="When one channel tells a person.")
class ChannelPreference:
    channel: str = strawberry.field(description="Its name, such as email.")
    timing: MessageTiming


@strawberry.type(description="How the viewer is told that something waits for them or happened.")
class NotificationPreferences:
    channels: list[ChannelPreference] = strawberry.field(
        description="The channels that this service has for people."
    )
    digest_at: str = strawberry.field(description="When the digest of a day is sent, as HH:MM.")
    quiet_from: str | None = strawberry.field(
        description="From when nothing is sent, as HH:MM; null: there are no quiet hours."
    )
    quiet_until: str | None = strawberry.field(
        description="Until when nothing is sent, as HH:MM; on the next day if it is less than "
        "quietFrom."
    )
    time_zone: str = strawberry.field(description="The time zone of these times.")

    @classmethod
    def of(cls, preferences: Preferences, channels: tuple[str, ...]) -> "NotificationPreferences":
        """Make the GraphQL type of preferences, with these channels of the service."""
        return cls(
            channels=[
                ChannelPreference(channel=name, timing=preferences.timing(name))
                for name in channels
            ],
            digest_at=preferences.digest_at,
            quiet_from=preferences.quiet_from,
            quiet_until=preferences.quiet_until,
            time_zone=preferences.time_zone,
        )


@strawberry.type(
    description="The result of a change of preferences. With a code it was refused, and nothing "
    "was changed."
)
class PreferencesResult:
    preferences: NotificationPreferences | None = None
    code: RefusalCode | None = None
    message: str | None = None


@strawberry.type(description="What one recipient is told through one channel because of one event.")
class OutboxMessage:
    row: strawberry.Private[OutboxRow]
    id: strawberry.ID
    kind: MessageKind
    recipient: strawberry.ID = strawberry.field(
        description="The id of the person, or of what else the channel tells, such as a webhook."
    )
    channel: str
    status: MessageStatus
    tries: int
    created_at: datetime
    due_at: datetime = strawberry.field(
        description="When it is to be sent, or was. While it is tried, when it is at the latest "
        "tried again."
    )
    ended_at: datetime | None = strawberry.field(
        description="When it was sent, skipped or given up; null while it waits."
    )
    reason: str | None = strawberry.field(
        description="Why the last try failed, or why it was skipped; null otherwise."
    )
    digest_id: strawberry.ID | None = strawberry.field(
        description="The message of the digest that it waits for or was sent in; null if none."
    )

    @strawberry.field(
        description="The approval that it is about; null if it is about none, or the viewer may "
        "not see it."
    )
    async def approval(self, info: Info) -> Approval | None:
        approval_id = self.row.approval_id
        if approval_id is None:
            return None
        found = await visible_approval(context_of(info), str(approval_id))
        return None if found is None else Approval.of(*found)

    @classmethod
    def of(cls, row: OutboxRow) -> "OutboxMessage":
        """Make the GraphQL type of a row."""
        return cls(
            row=row,
            id=strawberry.ID(str(row.id)),
            kind=row.kind,
            recipient=strawberry.ID(row.recipient),
            channel=row.channel,
            status=row.status,
            tries=row.tries,
            created_at=row.created_at,
            due_at=row.due_at,
            ended_at=row.ended_at,
            reason=row.last_error,
            digest_id=None if row.digest_id is None else strawberry.ID(str(row.digest_id)),
        )


@strawberry.type(description="A message in a page, with its cursor.")
class OutboxMessageEdge:
    cursor: str
    node: OutboxMessage


@strawberry.type(description="A page of messages.")
class OutboxMessageConnection:
    edges: list[OutboxMessageEdge]
    page_info: PageInfo
    counted: strawberry.Private[Callable[[], Awaitable[int | None]]]

    @strawberry.field(description="The number of all matches; null if there are more than 10,000.")
    async def total_count(self) -> int | None:
        return await self.counted()


@strawberry.type(
    description="The result of sending dead letters again. With a code it was refused, and nothing "
    "is sent."
)
class ResendResult:
    resent: int = strawberry.field(default=0, description="How many are sent again.")
    code: RefusalCode | None = None
    message: str | None = None


@strawberry.type
class NotificationQueries:
    @strawberry.field(description="How the viewer is told.")
    async def preferences(self, info: Info) -> NotificationPreferences:
        context = context_of(info)
        return NotificationPreferences.of(await preferences_of(context), _channels(context))

    @strawberry.field(
        description="Messages, the newest first. Everybody sees their own; ADMIN sees all. Those "
        "that were sent or skipped are kept for 90 days."
    )
    async def messages(
        self,
        info: Info,
        status: Annotated[list[MessageStatus] | None, described("In these; null: any.")] = None,
        channel: Annotated[str | None, described("Through this channel; null: any.")] = None,
        recipient: Annotated[
            strawberry.ID | None,
            described("To this recipient; null: to the viewer, or to anybody for ADMIN."),
        ] = None,
        approval_id: Annotated[
            strawberry.ID | None, described("About this approval; null: about any.")
        ] = None,
        first: First = 50,
        after: After = None,
    ) -> OutboxMessageConnection:
        context = context_of(info)
        check_values(status, "status")
        wanted = OutboxFilter(
            recipient=_recipient(context, recipient),
            channel=channel,
            status=status,
            approval=None if approval_id is None else approval_id_of(approval_id),
        )
        outbox, start = context.services.notifications.outbox, _place(after)
        rows, more = await outbox.page(wanted, first=page_size(first, 50), after=start)
        edges = [
            OutboxMessageEdge(cursor=f"{row.position}.{row.id}", node=OutboxMessage.of(row))
            for row in rows
        ]

        async def counted() -> int | None:
            return await outbox.count(wanted)

        cursors = [edge.cursor for edge in edges]
        page_info = PageInfo.of(cursors, has_next=more, has_previous=start is not None)
        return OutboxMessageConnection(edges=edges, page_info=page_info, counted=counted)


@strawberry.type
class NotificationMutations:
    @strawberry.mutation(description="Sets how the caller is told from now on.")
    async def set_preferences(
        self,
        info: Info,
        input: Annotated[NotificationPreferencesInput, described("What the caller wants.")],  # noqa: A002
    ) -> PreferencesResult | None:
        wanted = Preferences(
            channels={each.channel: each.timing for each in input.channels or ()},
            digest_at=input.digest_at or DEFAULT.digest_at,
            quiet_from=input.quiet_from,
            quiet_until=input.quiet_until,
            time_zone=input.time_zone or DEFAULT.time_zone,
        )
        return await set_preferences(context_of(info), wanted)

    @strawberry.mutation(
        description="Sends dead letters again: those with these ids, or all of a channel. Takes "
        "exactly one of ids and channel. Needs the role ADMIN."
    )
    async def resend_messages(
        self,
        info: Info,
        ids: Annotated[
            list[strawberry.ID] | None,
            described("Which, at most 500. Those that are no dead letters stay as they are."),
        ] = None,
        channel: Annotated[
            str | None, described("The channel whose dead letters are sent.")
        ] = None,
    ) -> ResendResult | None:
        context = context_of(info)
        if not authorization.administers(context.principal):
            return ResendResult(code=RefusalCode.FORBIDDEN, message=_NEEDS_ADMIN)
        if (ids is None) == (channel is None):
            raise bad_request("resendMessages takes exactly one of ids and channel, give one")
        outbox = context.services.notifications.outbox
        if channel is not None:
            return ResendResult(resent=await outbox.resend_channel(channel.replace("\x00", "")))
        check_values(ids, "ids")
        return ResendResult(resent=await outbox.resend([execution_id_of(id_) for id_ in ids or ()]))


async def set_preferences(context: Context, wanted: Preferences) -> PreferencesResult:
    """Replace the caller's preferences, for the channels that are set up."""
    channels, chosen = _channels(context), wanted.channels
    unknown = sorted(set(chosen) - set(channels))
    problem = wanted.problem()
    if unknown:
        known = ", ".join(channels) or "none"
        problem = f"channel {unknown[0][:64]!r} is not one of this service; it has {known}"
    if problem:
        return PreferencesResult(code=RefusalCode.INVALID_INPUT, message=problem)
    # Channels that are not set up at present keep what was set.
    before = await preferences_of(context)
    kept = {name: how for name, how in before.channels.items() if name not in channels}
    chosen = {name: how for name, how in chosen.items() if how is not MessageTiming.AT_ONCE}
    wanted = replace(wanted, channels={**kept, **chosen})
    await context.services.notifications.preferences.set(context.principal.id, wanted)
    return PreferencesResult(preferences=NotificationPreferences.of(wanted, channels))


def _channels(context: Context) -> tuple[str, ...]:
    return context.services.notifications.channels


async def preferences_of(context: Context) -> Preferences:
    """Return the caller's preferences."""
    person = context.principal.id
    found = await context.services.notifications.preferences.of([person])
    return found.get(normal(person), DEFAULT)


def _recipient(context: Context, wanted: str | None) -> str | None:
    """Return whose messages are shown, None for everybody's. Raises FORBIDDEN."""
    if authorization.administers(context.principal):
        return wanted
    if wanted is not None and normal(wanted) != context.principal.id:
        raise forbidden(_OTHERS)
    return context.principal.id


def _place(cursor: str | None) -> Place | None:
    if cursor is None:
        return None
    position, _, id_ = cursor.partition(".")
    number, uuid = number_of(position, "after"), parse_uuid(id_)
    if number is None or uuid is None:
        raise bad_request("after is not a cursor of this page")
    return Place(number, uuid)
