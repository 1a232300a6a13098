"""Input of the mutation that creates a webhook."""

import strawberry


@strawberry.input(
    description="Where a webhook goes, and which events of approvals it gets. An empty list means "
    "all."
)
class WebhookInput:
    name: str = strawberry.field(description="A name that no other webhook has.")
    url: str = strawberry.field(
        description="Where it goes. It begins with https:// and names a host with a public "
        "address, unless the configuration of the server allows others."
    )
    types: list[str] | None = strawberry.field(
        default=None,
        description="The types of the events, such as placet.approval.requested.v1; null: all.",
    )
    workflows: list[str] | None = strawberry.field(
        default=None, description="The workflows whose approvals it is told of; null: all."
    )
    groups: list[str] | None = strawberry.field(
        default=None,
        description="Groups that the policy of an approval names, or to which it was escalated; "
        "null: any.",
    )
    include_payload: bool | None = strawberry.field(
        default=False,
        description="Whether the payload is sent too, and what people wrote, such as comments.",
    )
