"""Inputs about preferences."""

import strawberry

from api.schema.enums import MessageTiming


@strawberry.input(description="When one channel tells the caller.")
class ChannelPreferenceInput:
    channel: str = strawberry.field(description="Its name, such as email.")
    timing: MessageTiming = strawberry.field(description="When it tells.")


@strawberry.input(
    description="How the caller is told from now on. It replaces what was set before; what is left "
    "out is the default again."
)
class NotificationPreferencesInput:
    channels: list[ChannelPreferenceInput] | None = strawberry.field(
        default=None, description="When each channel tells; one that is left out tells at once."
    )
    digest_at: str | None = strawberry.field(
        default="08:00", description="When the digest of a day is sent, as HH:MM in the time zone."
    )
    quiet_from: str | None = strawberry.field(
        default=None,
        description="From when nothing is sent, as HH:MM. It needs quietUntil. Digests are sent.",
    )
    quiet_until: str | None = strawberry.field(
        default=None,
        description="Until when nothing is sent, as HH:MM; on the next day if it is less than "
        "quietFrom.",
    )
    time_zone: str | None = strawberry.field(
        default="UTC", description="The time zone of these times, such as Europe/Berlin."
    )
