"""The stages of a policy and their requirements in words, and who is still to agree."""

from collections.abc import Callable, Sequence

import msgspec

from api.console.views.decisions import Decided
from domain.approvals import quorum
from domain.approvals.policy import Requirement
from domain.approvals.state import Approval, Verdict

Translate = Callable[..., str]


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """One requirement in words. ``missing``: how many people are still to agree, and who."""

    text: str
    missing: int
    missing_text: str


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """The requirements that are asked at one time, and what was decided in it.

    ``state`` is "done", "now" or "later" while the approval is pending, else "done" or "open".
    """

    number: int
    state: str
    wanted: list[Wanted]
    decisions: list[Decided]


def stages_of(
    approval: Approval, decisions: Sequence[Decided], text: Translate, plural: Translate
) -> list[Stage]:
    """Return the stages of an approval's policy, the first first."""
    current = quorum.current_stage(approval)
    wanted = wanted_by(approval, text, plural)
    stages = []
    for number in range(1, approval.policy.stages + 1):
        here = [
            one
            for one, requirement in zip(wanted, approval.policy.requirements, strict=True)
            if requirement.stage == number
        ]
        state = "now" if number == current else "later"
        if not any(one.missing for one in here):
            state = "done"
        elif not approval.pending:
            state = "open"
        stages.append(
            Stage(
                number=number,
                state=state,
                wanted=here,
                decisions=[one for one in decisions if one.stage == number],
            )
        )
    return stages


def wanted_by(approval: Approval, text: Translate, plural: Translate) -> list[Wanted]:
    """Return the requirements of an approval's policy."""
    missing = list(quorum.outstanding(approval))
    granted = {
        (one.on_behalf_of or one.by).id
        for one in approval.counting_decisions
        if one.verdict is Verdict.GRANTED
    }
    wanted = []
    for requirement in approval.policy.requirements:
        left = 0
        if missing and _alike(missing[0], requirement):
            left = missing.pop(0).count
        others = tuple(user for user in requirement.users if user not in granted)
        still = msgspec.structs.replace(requirement, users=others)
        if not (still.groups or still.users):
            still = requirement
        wanted.append(
            Wanted(
                text=requirement_text(requirement, requirement.count, text, plural),
                missing=left,
                missing_text=requirement_text(still, left, text, plural) if left else "",
            )
        )
    return wanted


def requirement_text(
    requirement: Requirement, count: int, text: Translate, plural: Translate
) -> str:
    """Return a requirement in words: how many people, out of which groups and people."""
    groups = [text("a member of %(group)s", group=group) for group in requirement.groups]
    if count == 1:
        return _either([*groups, *requirement.users], text)
    among = _either([*requirement.groups, *requirement.users], text)
    return plural("%(num)d person of %(among)s", "%(num)d people of %(among)s", count, among=among)


def _either(names: list[str], text: Translate) -> str:
    if len(names) == 1:
        return names[0]
    return text("%(several)s or %(last)s", several=", ".join(names[:-1]), last=names[-1])


def _alike(one: Requirement, other: Requirement) -> bool:
    return msgspec.structs.replace(one, count=other.count) == other
