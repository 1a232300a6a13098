"""What all events have in common: a topic, and content that is stored as one sealed part."""

from typing import ClassVar

from domain.values import Value


class Content(Value, frozen=True, kw_only=True):
    """What people wrote or sent. Every field has a default, because it may be missing."""


class Event(Value, frozen=True, kw_only=True):
    """Base of all events. ``topic`` is the name under which the event type is stored."""

    topic: ClassVar[str] = ""
    content: Content = Content()


class ReasonContent(Content, frozen=True, kw_only=True):
    """Why somebody withdrew, cancelled or parked."""

    reason: str = ""
