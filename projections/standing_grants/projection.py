"""The read model of standing grants: one row for each grant, made from its state."""

from collections.abc import Sequence
from typing import Any

from domain.serialization.state_codec import encode_standing_grant
from domain.standing_grants.state import StandingGrant
from projections.querying.hashed_terms import person_term
from projections.runtime.read_model import Change, ReadModel


def _render(changes: Sequence[Change]) -> dict[str, Any]:
    states = [each.state for each in changes if isinstance(each.state, StandingGrant)]
    return {
        "id": [state.id for state in states],
        "version": [state.version for state in states],
        "owner": [person_term(state.by.id) for state in states],
        "workflow": [state.workflow for state in states],
        "revoked": [state.revoked_version > 0 for state in states],
        "used_up": [state.used >= state.max_uses for state in states],
        "expires_at": [state.expires_at for state in states],
        "created_at": [state.created_at for state in states],
        "body": [encode_standing_grant(state) for state in states],
    }


STANDING_GRANTS = ReadModel(
    "standing_grants",
    version=1,
    tables=("standing_grants",),
    key=("id",),
    render=_render,
    of=(StandingGrant,),
)
