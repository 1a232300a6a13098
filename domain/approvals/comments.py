"""Comments: what people and workers write about an approval. They are possible in every state."""

from msgspec.structs import replace

from domain.approvals.commands import (
    CommentApproval,
)
from domain.approvals.events import (
    ApprovalCommented,
    CommentContent,
)
from domain.approvals.evolve import known_approval, with_approval
from domain.approvals.state import CommentMark
from domain.execution.events import (
    Events,
    Recorded,
)
from domain.execution.state import Changes, Execution
from domain.execution.transitions import check_transition
from domain.names import same_name
from domain.refusals import Refusal, RefusalCode
from domain.serialization.canonical_json import canonical, digest
from domain.values import Principal

MAX_COMMENTS = 1_000


def comment(state: Execution, command: CommentApproval) -> Events:
    """Add a comment. The same person's same key is a repeat, or KEY_REUSED with another text."""
    approval = state.approvals[command.ordinal]
    text_digest = digest(canonical(command.text))
    if earlier := same_key(approval.comments, command.by, command.key):
        if earlier.text_digest != text_digest:
            message = (
                f"{command.by.id} used the key {command.key!r} for another comment; "
                "give a different comment its own key"
            )
            raise Refusal(RefusalCode.KEY_REUSED, message)
        return ()
    check_transition(state, ApprovalCommented)
    if len(approval.comments) >= MAX_COMMENTS:
        message = f"approval {approval.id} has {MAX_COMMENTS} comments, which is the limit"
        raise Refusal(RefusalCode.INVALID_INPUT, message)
    return (
        ApprovalCommented(
            ordinal=approval.ordinal,
            text_digest=text_digest,
            key=command.key,
            content=CommentContent(text=command.text),
        ),
    )


def same_key(
    comments: tuple[CommentMark, ...], by: Principal, key: str | None
) -> CommentMark | None:
    """Return the comment of this person under this key, or None."""
    if key is None:
        return None
    return next((c for c in comments if c.key == key and same_name(c.by, by.id)), None)


def commented(state: Execution, recorded: Recorded, event: ApprovalCommented) -> Changes:
    """Remember the comment. Its text stays in the event."""
    approval = known_approval(state, event.ordinal)
    mark = CommentMark(
        version=recorded.version,
        by=recorded.actor.id,
        key=event.key,
        text_digest=event.text_digest,
    )
    changed = replace(approval, comments=(*approval.comments, mark))
    return with_approval(state, changed)
