"""In whose place a person decides: in their own, or in that of somebody else.

That is a person who delegated the approval to them, or an absent person who named them as their
substitute. A substitute can take the place of an absent person if that one could decide: if they
have not decided, have not handed the decision over, and are not too close to the request. What was
delegated to an absent person is not covered.
"""

from collections.abc import Iterator
from typing import NamedTuple

from domain import authorization
from domain.approvals.four_eyes import four_eyes
from domain.approvals.policy import Requirement
from domain.approvals.quorum import current_stage
from domain.approvals.state import Approval, Decision
from domain.execution.state import Execution
from domain.names import may_be_same_person, same_name
from domain.values import Absence, Actor, Principal, SubstitutionRef

MAX_CHAIN = 3
"""How often the right to decide one approval can be passed on."""


class Place(NamedTuple):
    """The person for whom a decision counts, with their groups.

    ``on_behalf_of`` is the same person if somebody else decides for them, else None. ``source`` is
    the version of the delegation to who decides; 0 if there is none. ``substitution`` is the one by
    which it is the place of an absent person, else None.
    """

    person: str
    groups: frozenset[str]
    on_behalf_of: Actor | None = None
    source: int = 0
    substitution: SubstitutionRef | None = None

    @property
    def by_name(self) -> bool:
        """Whether a requirement that names the person is met too."""
        return self.substitution is None or not self.substitution.only_groups

    def admitted_by(self, requirement: Requirement) -> bool:
        """Whether a decision in this place counts towards the requirement."""
        if self.by_name:
            return requirement.admits(self.person, self.groups)
        return bool(requirement.named_groups(self.groups))


def place_of(principal: Principal, execution: Execution, approval: Approval) -> Place | None:
    """Return the place in which the principal decides, None if there is none.

    Whom the policy asks now decides in their own right. Else it is the first place that was handed
    to the principal and is asked now, then the first of an absent person. The place of who
    delegated counts with the groups that this person held at the delegation.
    """
    places = []
    if authorization.eligible(principal, approval):
        places.append(Place(principal.id, principal.groups))
    for chain in approval.chains_to(principal.id):
        first = chain[-1]
        places.append(Place(first.by.id, frozenset(first.groups), first.by, chain[0].version))
    for absence in principal.stands_in_for:
        place = _place_of_absent(absence)
        if (
            authorization.covers(absence, approval)
            and next(_objections_to(absence, execution, approval), None) is None
        ):
            places.append(place)
    if len(places) > 1:
        return next((place for place in places if asked_now(place, approval)), places[0])
    return places[0] if places else None


def objections_to_absent(
    principal: Principal, execution: Execution, approval: Approval
) -> Iterator[str]:
    """Yield why the principal can't decide in the place of absent people whom the policy asks."""
    for absence in principal.stands_in_for:
        if asked_now(_place_of_absent(absence), approval):
            for reason in _objections_to(absence, execution, approval):
                yield f"in the place of {absence.id}, as their substitute: {reason}"


def _place_of_absent(absence: Absence) -> Place:
    return Place(
        absence.id, absence.groups, on_behalf_of=absence.actor, substitution=absence.substitution
    )


def _objections_to(absence: Absence, execution: Execution, approval: Approval) -> Iterator[str]:
    absent = absence.id
    if (decision := approval.decision_that_bars(absent)) is not None:
        yield (
            f"{absent} already decided"
            if may_be_same_person(decision.by.id, absent)
            else f"{decision.by.id} already decided in the place of {absent}"
        )
    if (delegation := approval.delegation_that_bars(absent)) is not None:
        yield f"{absent} handed the decision to {delegation.to.id}"
    for reason in four_eyes(absent, execution, approval):
        yield reason.replace("this person", absent)


def asked_now(place: Place, approval: Approval) -> bool:
    """Whether the current stage or an escalation asks for this place."""
    if approval.escalation_groups(place.groups):
        return True
    stage = current_stage(approval)
    return any(
        requirement.stage == stage and place.admitted_by(requirement)
        for requirement in approval.policy.requirements
    )


def decided_through(person: str, approval: Approval) -> Decision | None:
    """Return the decision that was made with the right that this person handed over, or None."""
    for decision in approval.counting_decisions:
        if decision.on_behalf_of is None or decision.substitution is not None:
            continue
        for chain in approval.chains_to(decision.by.id):
            if same_name(chain[-1].by.id, decision.on_behalf_of.id) and any(
                same_name(each.by.id, person) for each in chain
            ):
                return decision
    return None
