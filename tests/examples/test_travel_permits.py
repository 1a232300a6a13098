"""Cases of the permit log, run through the example."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from itertools import islice
from typing import Any
from uuid import uuid4

import pytest

from bench.stack import Stack
from examples import permit_log, travel_permits
from examples.permit_log import AskAction, Case, DecideAction, StepAction, WithdrawAction
from placet import Approval, ApprovalStatus, Client, errors
from tests.sdk.people import People, until

CASES = 12
# The shortest cases have no decision in them.
SOME_EVENTS = 12


@pytest.fixture
async def deciders(server: Stack) -> AsyncIterator[dict[str, Client]]:
    """A client for each role, who decides for its group."""
    async with AsyncExitStack() as stack:
        clients = {}
        for role in permit_log.ROLES:
            token = server.create_token(f"{role}-{uuid4()}", "APPROVER", [role])
            clients[role] = await stack.enter_async_context(Client(server.url, token))
        yield clients


class Player:
    """Lets happen what the log says, one event after the other."""

    def __init__(self, people: People, deciders: dict[str, Client], execution_id: str) -> None:
        self._people = people
        self._deciders = deciders
        self._id = execution_id
        self._told = 0

    async def play(self, case: Case) -> None:
        keys: dict[str, str] = {}
        for action in permit_log.actions(case):
            match action:
                case StepAction(key=key, name=name):
                    await self._tell(what="done", document=name, key=key)
                case AskAction(document=document, key=key, roles=roles):
                    keys[document] = key
                    await self._tell(what="submitted", document=document, key=key, roles=roles)
                    await self._approval(key)
                case WithdrawAction(document=document):
                    await self._tell(what="taken back", document=document)
                case DecideAction(document=document, role=role, verdict=verdict):
                    await self._decide(keys[document], role, verdict)
        await self._tell(what="closed")

    async def _tell(self, **happened: Any) -> None:
        operator = await self._people.get("operator")
        self._told += 1
        await operator.signal(
            self._id, travel_permits.HAPPENED, happened, key=f"event-{self._told}"
        )

    async def _approval(self, key: str) -> Approval:
        operator = await self._people.get("operator")

        async def asked() -> Approval | None:
            history = await operator.history(self._id)
            assert history is not None
            return next((a for a in history.approvals if a.key == key), None)

        return await until(asked)

    async def _decide(self, key: str, role: str, verdict: str) -> None:
        approval, decider = await self._approval(key), self._deciders[role]
        # Roles that are not asked any more, or too late, are turned away, as the log expects.
        with suppress(errors.Refused):
            if verdict == "GRANTED":
                await decider.grant(approval)
            else:
                await decider.reject(approval, comment="as the log says")


async def test_real_cases_come_out_as_their_events_say(
    people: People, server: Stack, deciders: dict[str, Client]
) -> None:
    path = permit_log.find()
    if path is None:
        pytest.skip("the permit log is not here; name it by PERMITS")
    long_enough = (c for c in permit_log.read(path) if len(c.events) >= SOME_EVENTS)
    cases = list(islice(long_enough, CASES))
    operator, queue = await people.get("operator"), f"travel-{uuid4()}"

    async def whole(case: Case) -> tuple[list[tuple[str, ApprovalStatus]], list[str]]:
        started = await operator.start("travel_permit", case.name, queue=queue)
        assert started.execution is not None
        execution_id = started.execution.id
        await Player(people, deciders, execution_id).play(case)

        async def settled() -> Any:
            history = await operator.history(execution_id)
            assert history is not None
            steps = [step.key for step in history.steps if step.completed_at is not None]
            undecided = [a for a in history.approvals if a.status is ApprovalStatus.PENDING]
            over = history.execution.state.final or (undecided and len(steps) >= expected_steps)
            return ([(a.key, a.status) for a in history.approvals], steps) if over else None

        expected_steps = len(permit_log.expected(case).steps)
        found: tuple[list[tuple[str, ApprovalStatus]], list[str]] = await until(settled)
        return found

    async with travel_permits.engine(server.url, server.tokens["engine"], queue=queue):
        found = await asyncio.gather(*(whole(case) for case in cases))
    for case, (approvals, steps) in zip(cases, found, strict=True):
        outcome = permit_log.expected(case)
        assert steps == [step.key for step in outcome.steps], case.name
        assert [key for key, _ in approvals] == [a.key for a in outcome.approvals], case.name
        for (key, status), wanted in zip(approvals, outcome.approvals, strict=True):
            assert status == wanted.status, (case.name, key)
