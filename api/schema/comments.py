"""The comments on an approval. The state knows their versions, and the log has their texts."""

from collections.abc import Sequence
from datetime import datetime

import strawberry

from api.schema.paging import PageInfo
from api.schema.people import Actor
from application.event_store.chained_events import LoggedEvent
from domain.approvals.events import (
    ApprovalCommented,
)


@strawberry.type(description="What somebody wrote about an approval.")
class Comment:
    id: strawberry.ID
    by: Actor
    at: datetime
    text: str | None

    @classmethod
    def of(cls, event: LoggedEvent) -> "Comment":
        """Make the GraphQL type of a comment's event."""
        recorded = event.recorded
        assert isinstance(recorded.event, ApprovalCommented)
        return cls(
            id=strawberry.ID(f"{recorded.execution_id}.comment.{recorded.version}"),
            by=Actor.of(recorded.actor),
            at=recorded.at,
            text=recorded.event.content.text,
        )


@strawberry.type(description="A comment in a page, with its cursor.")
class CommentEdge:
    cursor: str
    node: Comment


@strawberry.type(description="A page of comments.")
class CommentConnection:
    edges: list[CommentEdge]
    page_info: PageInfo
    total_count: int | None

    @classmethod
    def of(
        cls, events: Sequence[LoggedEvent], *, more: bool, after: int, total: int
    ) -> "CommentConnection":
        """Make a page. The cursor of a comment is its version."""
        edges = [
            CommentEdge(cursor=str(event.recorded.version), node=Comment.of(event))
            for event in events
        ]
        return cls(
            edges=edges,
            page_info=PageInfo.of(
                [edge.cursor for edge in edges], has_next=more, has_previous=after > 0
            ),
            total_count=total,
        )
