"""Which known people could decide an approval, and whether there are enough of them.

Whether a decision of a person would count is asked of the same rules that decide it, with the
groups and roles that the directory knows. So it is a guess about whom the directory does not keep
up to date.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from itertools import chain

from msgspec.structs import replace

from application.directory import Directory, KnownPerson
from domain import authorization
from domain.approvals import eligibility, quorum
from domain.approvals.four_eyes import four_eyes
from domain.approvals.policy import Requirement
from domain.approvals.state import Approval
from domain.execution.state import Execution
from domain.names import normal
from domain.values import Absence

MAX_CANDIDATES = 2_000
"""How many people a list of those who could decide is made of."""
ENOUGH = 500
"""How many are looked at to see whether there are enough. A policy asks for fewer."""
KNOWN_SECONDS = 10.0
"""For how long it is remembered that the directory knows somebody who may decide."""
UNKNOWN_SECONDS = 0.5
"""For how long it is remembered that it knows nobody."""


class EligiblePeople:
    """Asks a directory. Raises psycopg errors or PoolTimeout if it is unavailable."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._anybody = False
        self._anybody_until = 0.0

    async def now(
        self, execution: Execution, approval: Approval, now: datetime
    ) -> list[KnownPerson]:
        """Return the known people whose decision would count now, in order of id.

        Only the first MAX_CANDIDATES of those who are asked are looked at.
        """
        if not approval.pending:
            return []
        stage = quorum.current_stage(approval)
        asked = [r for r in approval.policy.requirements if r.stage == stage]
        delegates = [each.to.id for each in approval.delegations if each.stands]
        groups = chain(approval.escalated_to, *(r.groups for r in asked))
        users = chain(delegates, *(r.users for r in asked))
        found = await self._candidates(groups, users, MAX_CANDIDATES)
        absences = await self._absences(found, now)
        substitutes = await self._directory.people_of(absences)
        found |= {id_: each for id_, each in substitutes.items() if each.active}
        return [
            found[id_]
            for id_ in sorted(found)
            if _counts(found[id_], absences.get(id_, ()), execution, approval)
        ]

    async def warnings(self, execution: Execution, approval: Approval) -> list[str]:
        """Say for which requirements the directory knows too few people who could decide.

        Nothing is said if it knows nobody at all who may decide: then it is not in use.
        """
        if not approval.pending or not await self._knows_anybody():
            return []
        requirements = approval.policy.requirements
        said, could = [], set[str]()
        for number, r in enumerate(requirements, 1):
            found = await self._candidates(r.groups, r.users, ENOUGH)
            known = {id_ for id_, each in found.items() if _could(each, execution, approval)}
            could |= known
            if len(known) < r.count and len(found) < ENOUGH:
                said.append(
                    f"requirement {number} needs {r.count} of {_whom(r)}; the directory knows "
                    f"{len(known)}"
                )
        needed = sum(r.count for r in requirements)
        if not said and len(could) < needed:
            said.append(
                f"all requirements together need {needed} people; the directory knows {len(could)}"
            )
        return said

    async def _candidates(
        self, groups: Iterable[str], ids: Iterable[str], limit: int
    ) -> dict[str, KnownPerson]:
        found = await self._directory.members(map(normal, groups), map(normal, ids), limit=limit)
        return {person.id: person for person in found}

    async def _absences(
        self, absent: dict[str, KnownPerson], now: datetime
    ) -> dict[str, tuple[Absence, ...]]:
        """Return in whose places substitutes decide, by the ids of the substitutes."""
        found: dict[str, list[Absence]] = defaultdict(list)
        # Who could not decide is represented by nobody.
        deciders = [id_ for id_, each in absent.items() if authorization.may_decide(each.principal)]
        for each in await self._directory.substitutions(deciders, now):
            person = absent[each.person]
            groups = person.groups if each.groups is None else person.groups & each.groups
            found[each.substitute].append(
                Absence(
                    id=person.id,
                    name=person.name,
                    groups=groups,
                    only_groups=each.groups is not None,
                    since=each.starts_at,
                    until=each.ends_at,
                    number=each.number,
                )
            )
        return {id_: tuple(absences) for id_, absences in found.items()}

    async def _knows_anybody(self) -> bool:
        now = asyncio.get_running_loop().time()
        if now >= self._anybody_until:
            self._anybody = await self._directory.knows_deciders()
            self._anybody_until = now + (KNOWN_SECONDS if self._anybody else UNKNOWN_SECONDS)
        return self._anybody


def _could(person: KnownPerson, execution: Execution, approval: Approval) -> bool:
    """Whether the person could decide it once they are asked."""
    return (
        authorization.may_decide(person.principal)
        and next(four_eyes(person.id, execution, approval), None) is None
    )


def _counts(
    person: KnownPerson, absences: tuple[Absence, ...], execution: Execution, approval: Approval
) -> bool:
    """Whether a decision of the person would count now, as viewerMayDecide says it."""
    if approval.decision_that_bars(person.id) is not None:
        return False
    principal = replace(person.principal, stands_in_for=absences)
    return next(eligibility.objections(principal, execution, approval), None) is None


def _whom(requirement: Requirement) -> str:
    groups = [f"the group {name}" for name in requirement.groups]
    return " or ".join([*groups, *requirement.users])
