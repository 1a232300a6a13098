"""The body of a message: a CloudEvents 1.0 event in its structured JSON form.

Everything in it is as it was right after the event, so a later try sends the same.
"""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from application.webhooks.event_types import TEST_TYPE, groups_of, type_of
from domain.approvals.document import instant_json
from domain.approvals.state import Approval
from domain.execution.events import Recorded
from domain.execution.state import Execution
from domain.values import Actor

_encode = msgspec.json.Encoder(order="deterministic").encode


def body_of(
    recorded: Recorded,
    execution: Execution,
    approval: Approval,
    public_url: str,
    *,
    include_payload: bool,
) -> bytes:
    """Return the JSON of an event about an approval.

    ``execution`` and ``approval`` are as they were right after the event. ``public_url`` is the
    address of the server without a slash at its end. The payload, and what people wrote, is there
    only with ``include_payload``.
    """
    type_ = type_of(recorded.event)
    assert type_ is not None, f"webhooks don't get {recorded.event.topic}"
    data: dict[str, Any] = {
        "approvalId": str(approval.id),
        "executionId": str(execution.id),
        "version": recorded.version,
        "event": type(recorded.event).__name__,
        "by": _actor(recorded.actor),
        "workflow": execution.workflow,
        "labels": [{"name": label.name, "value": label.value} for label in execution.labels],
        "key": approval.key,
        "round": approval.round,
        "title": approval.title,
        "status": str(approval.status),
        "resolved": not approval.pending,
        "groups": groups_of(approval),
        "requestedAt": instant_json(approval.requested_at),
        "deadline": _instant(approval.current_deadline),
        "resolvedAt": _instant(approval.resolved_at),
        "digest": approval.digest,
        "payloadDigest": approval.payload_digest,
        "link": f"{public_url}/approvals/{approval.id}",
    }
    if include_payload:
        data["description"] = approval.description
        data["payload"] = approval.payload
        data["content"] = msgspec.to_builtins(recorded.event.content)
    return _encode(
        _envelope(
            f"{recorded.execution_id}/{recorded.version}",
            type_,
            public_url,
            recorded.at,
            data,
            subject=str(approval.id),
        )
    )


def trial_body(webhook_id: UUID, message_id: str, public_url: str) -> bytes:
    """Return the JSON of the message that tries a webhook."""
    id_ = str(webhook_id)
    envelope = _envelope(
        message_id, TEST_TYPE, public_url, datetime.now(UTC), {"webhookId": id_}, subject=id_
    )
    return _encode(envelope)


def _envelope(
    id_: str, type_: str, source: str, at: datetime, data: dict[str, Any], **rest: str
) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": id_,
        "source": source,
        "type": type_,
        "time": instant_json(at),
        "datacontenttype": "application/json",
        **rest,
        "data": data,
    }


def _actor(actor: Actor) -> dict[str, str | None]:
    return {"id": actor.id, "name": actor.name}


def _instant(moment: datetime | None) -> str | None:
    return None if moment is None else instant_json(moment)
