"""How the states of executions and standing grants are stored, in snapshots and read models.

A stored state is a copy: it can be computed again from the events at any time.
"""

import msgspec
from msgspec.structs import replace
from rpds import HashTrieMap

from domain.approvals.state import Approval
from domain.execution.state import EMPTY, Child, Execution, Signal, Step, Timer
from domain.refusals import DamagedEventError
from domain.standing_grants.state import NO_USES, StandingGrant

FOLD_VERSION = 15
"""Counts the folds that gave the same events another state. Raise it with any change to that."""


class _Stored(msgspec.Struct, frozen=True, omit_defaults=True):
    """An execution without its maps, which msgspec can't encode, and the values of the maps."""

    execution: Execution
    steps: list[Step] = []
    approvals: list[Approval] = []
    timers: list[Timer] = []
    signals: list[Signal] = []
    children: list[Child] = []


_NO_MAPS = {
    field.name: EMPTY for field in msgspec.structs.fields(Execution) if field.default is EMPTY
}
_encode = msgspec.json.Encoder().encode
_decode_grant = msgspec.json.Decoder(StandingGrant).decode
_decode = msgspec.json.Decoder(_Stored).decode


def header_of(execution: Execution) -> Execution:
    """Return the execution without its maps."""
    return replace(execution, **_NO_MAPS)


def encode_state(execution: Execution) -> bytes:
    """Return the JSON bytes of a state."""
    return _encode(
        _Stored(
            execution=header_of(execution),
            steps=execution.steps_in_order(),
            approvals=execution.approvals_in_order(),
            timers=list(execution.timers.values()),
            signals=list(execution.signals.values()),
            children=list(execution.children.values()),
        )
    )


def decode_state(data: bytes) -> Execution:
    """Read a stored state. Raises DamagedEventError for bytes that are not one."""
    try:
        stored = _decode(data)
    except msgspec.MsgspecError as error:
        msg = f"a stored state can't be read: {error}"
        raise DamagedEventError(msg) from error
    return replace(
        stored.execution,
        steps=HashTrieMap((step.key, step) for step in stored.steps),
        approvals=HashTrieMap((approval.ordinal, approval) for approval in stored.approvals),
        deadlines=HashTrieMap(
            (approval.ordinal, due_at)
            for approval in stored.approvals
            if (due_at := approval.next_due) is not None
        ),
        rounds=HashTrieMap((approval.key, approval.ordinal) for approval in stored.approvals),
        timers=HashTrieMap((timer.key, timer) for timer in stored.timers),
        signals=HashTrieMap((signal.key, signal) for signal in stored.signals),
        children=HashTrieMap((child.key, child) for child in stored.children),
    )


def encode_standing_grant(grant: StandingGrant) -> bytes:
    """Return the JSON bytes of a standing grant, without its uses."""
    return _encode(replace(grant, uses=NO_USES))


def decode_standing_grant(data: bytes) -> StandingGrant:
    """Read a stored standing grant. Raises DamagedEventError for bytes that are not one."""
    try:
        return _decode_grant(data)
    except msgspec.MsgspecError as error:
        msg = f"a stored standing grant can't be read: {error}"
        raise DamagedEventError(msg) from error
