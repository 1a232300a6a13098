"""Delegation: a person hands the right to decide one approval to another person.

The delegate decides in the place of the first delegator, with the groups that this person held at
the delegation. A delegate can pass the right on. Nobody decides while they have handed it over.
"""

from msgspec.structs import replace

from domain.approvals import eligibility
from domain.approvals.commands import (
    DelegateApproval,
    TakeBackDelegation,
)
from domain.approvals.events import (
    ApprovalDelegated,
    DecisionContent,
    DelegationTakenBack,
)
from domain.approvals.evolve import approval_with, with_approval
from domain.approvals.four_eyes import four_eyes
from domain.approvals.places import MAX_CHAIN, decided_through, place_of
from domain.approvals.state import Approval, Delegation
from domain.execution.events import (
    Events,
    Recorded,
)
from domain.execution.state import Changes, Execution
from domain.execution.transitions import check_transition
from domain.names import may_be_same_person, same_name
from domain.refusals import IllegalTransitionError, Refusal, RefusalCode
from domain.values import Actor


def delegate(state: Execution, command: DelegateApproval) -> Events:
    """Hand the right to decide to another person. The same again is a repeat."""
    approval = state.approvals[command.ordinal]
    person = command.by.id
    standing = approval.delegation_from(person)
    if standing is not None and same_name(standing.to.id, command.to):
        return ()
    _check_undecided(approval, person)
    check_transition(state, ApprovalDelegated)
    if standing is not None:
        message = (
            f"{person} handed the decision to {standing.to.id}; take that back before handing it "
            "to somebody else"
        )
        raise Refusal(RefusalCode.INVALID_TRANSITION, message)
    if objection := next(eligibility.objections(command.by, state, approval), None):
        raise Refusal(RefusalCode.NOT_ELIGIBLE, objection)
    place = place_of(command.by, state, approval)
    assert place is not None
    if place.substitution is not None:
        message = (
            f"{person} is asked only as the substitute of {place.person}, and a substitute hands "
            "the decision to nobody"
        )
        raise Refusal(RefusalCode.NOT_ELIGIBLE, message)
    if problem := problem_with(state, approval, person, command.to, place.source):
        raise Refusal(RefusalCode.INVALID_INPUT, problem)
    return (
        ApprovalDelegated(
            ordinal=approval.ordinal,
            to=command.to,
            groups=tuple(sorted(place.groups)),
            source=place.source,
            content=DecisionContent(comment=command.comment),
        ),
    )


def problem_with(
    state: Execution, approval: Approval, person: str, to: str, source: int
) -> str | None:
    """Return why the person can't hand the decision to ``to``, or None.

    ``source`` is the version of the delegation that is passed on; 0 if it is their own right.
    """
    received = next((d for d in approval.delegations if d.version == source), None)
    passed_on = 0 if received is None else len(approval.chain_of(received))
    if may_be_same_person(person, to):
        return "to names the person who delegates: name somebody else"
    if _leads_to(person, to, approval):
        return f"to names {to}, from whom the decision came: take it back instead"
    if passed_on >= MAX_CHAIN:
        return f"the decision was passed on {MAX_CHAIN} times, which is the limit"
    if approval.decision_that_bars(to) is not None:
        return f"to names {to}, who has already decided"
    if reason := next(four_eyes(to, state, approval), None):
        return f"to names {to}, who may not decide: {reason}"
    return None


def _leads_to(person: str, start: str, approval: Approval) -> bool:
    """Whether delegations lead from ``start`` to the person. Everybody has one at most."""
    at = start
    for _ in approval.delegations:
        onward = approval.delegation_that_bars(at)
        if onward is None:
            return False
        at = onward.to.id
        if may_be_same_person(at, person):
            return True
    return False


def take_back(state: Execution, command: TakeBackDelegation) -> Events:
    """Take the own delegation back. It is a repeat if that was done already."""
    approval = state.approvals[command.ordinal]
    person = command.by.id
    mine = [each for each in approval.delegations if same_name(each.by.id, person)]
    if mine and not mine[-1].stands:
        return ()
    if not approval.pending:
        message = f"approval {approval.id} is already {approval.status}"
        raise Refusal(RefusalCode.ALREADY_DECIDED, message)
    if not mine:
        message = f"{person} has not handed the decision about approval {approval.id} to anybody"
        raise Refusal(RefusalCode.INVALID_TRANSITION, message)
    if decided := decided_through(person, approval):
        message = f"{decided.by.id} already decided approval {approval.id} in the place of {person}"
        raise Refusal(RefusalCode.ALREADY_DECIDED, message)
    check_transition(state, DelegationTakenBack)
    return (DelegationTakenBack(ordinal=approval.ordinal, delegation_version=mine[-1].version),)


def _check_undecided(approval: Approval, person: str) -> None:
    if not approval.pending:
        message = f"approval {approval.id} is already {approval.status}"
        raise Refusal(RefusalCode.ALREADY_DECIDED, message)
    if approval.decision_that_bars(person) is not None:
        message = f"{person} already decided approval {approval.id}"
        raise Refusal(RefusalCode.ALREADY_DECIDED, message)


def delegated(state: Execution, recorded: Recorded, event: ApprovalDelegated) -> Changes:
    """Record that the actor handed the right to decide to another person."""
    approval = approval_with(state, event.ordinal)
    if event.source and not any(
        chain[0].version == event.source for chain in approval.chains_to(recorded.actor.id)
    ):
        msg = f"no delegation of version {event.source} leads to {recorded.actor.id}"
        raise IllegalTransitionError(msg)
    delegation = Delegation(
        by=recorded.actor,
        to=Actor(id=event.to),
        at=recorded.at,
        version=recorded.version,
        groups=event.groups,
        source=event.source,
        comment=event.content.comment,
    )
    return with_approval(state, replace(approval, delegations=(*approval.delegations, delegation)))


def taken_back(state: Execution, recorded: Recorded, event: DelegationTakenBack) -> Changes:
    """Mark the delegation as taken back, and with it all that passed it on."""
    approval = approval_with(state, event.ordinal)
    if not any(d.version == event.delegation_version and d.stands for d in approval.delegations):
        msg = f"approval {approval.id} has no delegation of version {event.delegation_version}"
        raise IllegalTransitionError(msg)
    ended = {event.delegation_version}
    for each in approval.delegations:
        if each.source in ended:
            ended.add(each.version)
    delegations = tuple(
        replace(each, taken_back_at=recorded.at, taken_back_version=recorded.version)
        if each.version in ended and each.stands
        else each
        for each in approval.delegations
    )
    return with_approval(state, replace(approval, delegations=delegations))
