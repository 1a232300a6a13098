"""What is sent and read about standing grants."""

from collections.abc import Sequence

from msgspec.json import Decoder

from placet.client.transport.envelope import Operation, Response, Variables, given
from placet.client.transport.operations import fragments
from placet.models.enums import StandingGrantStatus
from placet.models.responses import Page
from placet.models.standing_grants import (
    StandingGrant,
    StandingGrantInput,
    StandingGrantResult,
    UsedFor,
)

_FIELDS = f"""
  id by {fragments.ACTOR} workflow key payloadSchema maxUses uses expiresAt comment status
  createdAt revokedAt
"""
_RESULT = f"grant {{ {_FIELDS} }} code message repeated position"


def _create(command: StandingGrantInput) -> Variables:
    return {"input": command}


def _revoke(id_: str, reason: str) -> Variables:
    return {"id": id_, "reason": reason}


def _id(id_: str) -> Variables:
    return {"id": id_}


def _page(
    status: Sequence[StandingGrantStatus] | None,
    by: str | None,
    workflow: str | None,
    *,
    first: int,
    after: str | None,
    at_least: str | None,
    count: bool,
) -> Variables:
    return given(
        status=status,
        by=by,
        workflow=workflow,
        first=first,
        after=after,
        atLeast=at_least,
        count=count,
    )


def _uses(id_: str, first: int, after: str | None) -> Variables:
    return given(id=id_, first=first, after=after)


CREATE = Operation(
    f"""mutation CreateStandingGrant($input: StandingGrantInput!) {{
  result: createStandingGrant(input: $input) {{ {_RESULT} }}
}}
""",
    Decoder(Response[StandingGrantResult]),
    _create,
)
REVOKE = Operation(
    f"""mutation RevokeStandingGrant($id: ID!, $reason: String!) {{
  result: revokeStandingGrant(id: $id, reason: $reason) {{ {_RESULT} }}
}}
""",
    Decoder(Response[StandingGrantResult]),
    _revoke,
)
ONE = Operation(
    f"""query StandingGrant($id: ID!) {{
  result: standingGrant(id: $id) {{ {_FIELDS} }}
}}
""",
    Decoder(Response[StandingGrant]),
    _id,
)
PAGE = Operation(
    f"""query StandingGrants(
  $status: [StandingGrantStatus!], $by: ID, $workflow: String, $first: Int, $after: String,
  $atLeast: String, $count: Boolean!
) {{
  result: standingGrants(
    status: $status, by: $by, workflow: $workflow, first: $first, after: $after, atLeast: $atLeast
  ) {{
    edges {{ cursor node {{ {_FIELDS} }} }} {fragments.PAGE_INFO}
    totalCount @include(if: $count)
  }}
}}
""",
    Decoder(Response[Page[StandingGrant]]),
    _page,
)
USES = Operation(
    f"""query StandingGrantUses($id: ID!, $first: Int, $after: String) {{
  result: standingGrant(id: $id) {{
    usedFor(first: $first, after: $after) {{
      edges {{ cursor node {{ ...ApprovalFields }} }} {fragments.PAGE_INFO} totalCount position
    }}
  }}
}}
{fragments.APPROVAL}""",
    Decoder(Response[UsedFor]),
    _uses,
)
