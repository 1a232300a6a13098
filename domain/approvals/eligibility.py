"""Who may decide an approval: a list of small rules. Each returns a reason why not, or None."""

from collections.abc import Callable, Iterator

from domain import authorization
from domain.approvals.four_eyes import four_eyes
from domain.approvals.places import Place, asked_now, objections_to_absent, place_of
from domain.approvals.quorum import current_stage
from domain.approvals.state import Approval, Decision
from domain.authorization import held
from domain.execution.state import Execution
from domain.names import normal
from domain.values import Principal

NOT_NAMED = "no requirement names this person or a group of this person"

Rule = Callable[[Principal, Execution, Approval], str | None]


def role_allows(principal: Principal, _execution: Execution, _approval: Approval) -> str | None:
    """Only an approver decides, and an engine never does."""
    if authorization.may_decide(principal):
        return None
    return f"the roles do not allow deciding; {held(principal.groups)}"


def named_by_policy(principal: Principal, execution: Execution, approval: Approval) -> str | None:
    """A requirement of the current stage must name the person, or whose place the person takes."""
    place = place_of(principal, execution, approval)
    if place is None:
        return f"{NOT_NAMED}; {held(principal.groups)}"
    if approval.escalation_groups(place.groups):
        return None
    stages = {
        requirement.stage
        for requirement in approval.policy.requirements
        if place.admitted_by(requirement)
    }
    current = current_stage(approval)
    if current in stages:
        return None
    if current < min(stages, default=0):
        return (
            f"this person is asked in stage {min(stages)}, and stage {current} is not complete "
            f"yet; {held(place.groups)}"
        )
    return (
        f"stage {current} asks other people; this person was asked in an earlier stage; "
        f"{held(place.groups)}"
    )


def place_is_free(principal: Principal, execution: Execution, approval: Approval) -> str | None:
    """A substitute decides if the absent person could: the first reason why that one can't."""
    if not principal.stands_in_for:
        return None
    place = place_of(principal, execution, approval)
    if place is not None and asked_now(place, approval):
        return None
    return next(objections_to_absent(principal, execution, approval), None)


def not_handed_over(principal: Principal, _execution: Execution, approval: Approval) -> str | None:
    """Who handed the decision to somebody else does not decide until they take it back."""
    delegation = approval.delegation_that_bars(principal.id)
    if delegation is None:
        return None
    return f"this person handed the decision to {delegation.to.id}; {held(principal.groups)}"


RULES: tuple[Rule, ...] = (role_allows, place_is_free, named_by_policy, not_handed_over)


def objections(principal: Principal, execution: Execution, approval: Approval) -> Iterator[str]:
    """Yield every reason why the principal may not decide the approval; nothing if it may."""
    for rule in RULES:
        if reason := rule(principal, execution, approval):
            yield reason
    for reason in four_eyes(principal.id, execution, approval):
        yield f"{reason}; {held(principal.groups)}"


def rule_for(place: Place, approval: Approval) -> str:
    """Return what makes a place eligible, as ``user:ID`` or ``group:NAME``.

    The first requirement of the current stage that names the place counts. If none does, it is
    ``escalation:NAME``, with the group to which the approval was escalated. For a delegate it is
    what makes the delegator eligible, for a substitute what makes the absent person eligible.
    Raises ValueError if nobody asks for the place now.
    """
    stage = current_stage(approval)
    for requirement in approval.policy.requirements:
        if requirement.stage != stage:
            continue
        if place.by_name and requirement.names_user(place.person):
            return f"user:{place.person}"
        for group in map(normal, requirement.groups):
            if group in place.groups:
                return f"group:{group}"
    for group in sorted(approval.escalation_groups(place.groups)):
        return f"escalation:{group}"
    msg = f"{place.person} is not eligible for {approval.id}"
    raise ValueError(msg)


def explanation(decision: Decision) -> str:
    """Return in words why a person was eligible at a decision, and with which groups."""
    kind, _, name = decision.rule.partition(":")
    person = (decision.on_behalf_of or decision.by).id
    because = {
        "user": f"the policy names {name}",
        "group": f"{person} is a member of {name}, which the policy asks",
        "escalation": f"{person} is a member of {name}, to which it was escalated",
    }.get(kind, decision.rule)
    place = "" if decision.on_behalf_of is None else f"in the place of {person}: "
    if decision.substitution is not None:
        place = f"in the place of {person}, as their substitute: "
    advance = "" if decision.standing_grant_id is None else ", allowed by a standing grant"
    login = ""
    if decision.auth_time is not None or decision.acr is not None:
        at = "" if decision.auth_time is None else f" at {decision.auth_time:%Y-%m-%d %H:%M:%S} UTC"
        strength = "" if decision.acr is None else f" with the strength {decision.acr}"
        login = f", logged in{at}{strength}"
    groups = held(decision.groups)
    known = "" if decision.all_groups_known else " that the policy names; others are not known"
    return f"{place}{because}, in stage {decision.stage}{advance}{login}; {groups}{known}"


def counted_groups(principal: Principal, approval: Approval) -> tuple[str, ...]:
    """Return the principal's groups that the policy names, sorted."""
    requirements = approval.policy.requirements
    return tuple(sorted({g for r in requirements for g in r.named_groups(principal.groups)}))
