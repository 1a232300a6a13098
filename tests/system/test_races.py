"""Two server processes race about the same approvals, and each approval ends in one way.

Fifty requests at one standing grant are in ``test_standing_grants.py``.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta

from bench.stack import Stack
from placet import Approval, ApprovalStatus, Client, require
from placet.errors import AlreadyDecided, AlreadyRedeemed, InvalidTransition
from tests.sdk.people import until
from tests.support.audit import findings
from tests.system.conftest import Opened

FINANCE = require(1, group="finance")
RACES = 20
PAYLOAD = {"euros": 5}
WITHIN, NEVER = timedelta(seconds=1), timedelta(hours=1)
BEFORE, APART = timedelta(seconds=0.2), timedelta(seconds=0.075)


class Both:
    """The clients of people and engines at two servers."""

    def __init__(self, servers: list[Stack], stack: AsyncExitStack) -> None:
        self._servers = servers
        self._stack = stack

    @classmethod
    @asynccontextmanager
    async def at(cls, *servers: Stack) -> AsyncIterator["Both"]:
        async with AsyncExitStack() as stack:
            yield cls(list(servers), stack)

    async def client(self, name: str, number: int) -> Client:
        """Return a client of somebody at one of the servers."""
        server = self._servers[number % 2]
        client = Client(server.url, self._servers[0].tokens[name])
        return await self._stack.enter_async_context(client)

    async def clients(self, name: str) -> list[Client]:
        return [await self.client(name, number) for number in range(2)]


async def ask(engine: Client, execution_id: str, within: timedelta | None = None) -> Approval:
    policy = FINANCE if within is None else FINANCE.expires(within)
    asked = await engine.request_approval(execution_id, "go", "Go", payload=PAYLOAD, policy=policy)
    assert asked.approval is not None
    return asked.approval


async def test_a_grant_and_the_deadline_resolve_an_approval_once(
    open_server: Opened, database: str
) -> None:
    async with Both.at(open_server(), open_server()) as both:
        operator, engine = await both.client("operator", 0), await both.client("engine", 1)
        approvers = await both.clients("approver-a")
        started = await asyncio.gather(*(operator.start("racing") for _ in range(RACES)))
        # The first is granted and the last expires, also if all others end in one way.
        withins = [NEVER, *[WITHIN] * (RACES - 1)]
        asked = await asyncio.gather(
            *(ask(engine, each.id, within) for each, within in zip(started, withins, strict=True))
        )

        async def expired(number: int) -> bool | None:
            now = await operator.approval(asked[number].id)
            return True if now is not None and now.status is ApprovalStatus.EXPIRED else None

        async def grant(number: int) -> bool:
            deadline = asked[number].deadline
            assert deadline is not None
            if number == RACES - 1:
                await until(lambda: expired(number))
            elif number:
                at = deadline - BEFORE + number * APART
                await asyncio.sleep((at - datetime.now(UTC)).total_seconds())
            try:
                await approvers[number % 2].grant(asked[number])
            except AlreadyDecided:
                return False
            return True

        granted = await asyncio.gather(*map(grant, range(RACES)))

        async def resolved() -> list[Approval] | None:
            now = [await operator.approval(each.id) for each in asked]
            found = [each for each in now if each is not None]
            return None if any(each.status is ApprovalStatus.PENDING for each in found) else found

        ended = await until(resolved)
        for each, was_granted in zip(ended, granted, strict=True):
            if was_granted:
                assert (each.status, len(each.decisions)) == (ApprovalStatus.GRANTED, 1)
            else:
                assert (each.status, each.decisions) == (ApprovalStatus.EXPIRED, [])
        assert (granted[0], granted[-1]) == (True, False)
    # The audit finds an approval that was resolved twice, and one that expired too early.
    assert findings(database) == []


async def test_of_a_revocation_and_a_redemption_exactly_one_is_accepted(
    open_server: Opened, database: str
) -> None:
    async with Both.at(open_server(), open_server()) as both:
        operators, engines = await both.clients("operator"), await both.clients("engine")
        approver = await both.client("approver-a", 0)

        async def race(number: int) -> bool:
            approval = await ask(engines[0], (await operators[0].start("racing")).id)
            await approver.grant(approval)

            async def revoke() -> bool:
                try:
                    await operators[number % 2].revoke(approval, reason="Stop")
                except AlreadyRedeemed:
                    return False
                return True

            async def redeem() -> bool:
                try:
                    await engines[(number + 1) % 2].redeem(approval.id, PAYLOAD, "use")
                except InvalidTransition:
                    return False
                return True

            # Whoever begins has an advantage, so each of them does so half of the time.
            if number // 2 % 2:
                redeemed, revoked = await asyncio.gather(redeem(), revoke())
            else:
                revoked, redeemed = await asyncio.gather(revoke(), redeem())
            assert revoked is not redeemed
            now = await operators[0].approval(approval.id)
            assert now is not None
            assert now.status is (ApprovalStatus.REVOKED if revoked else ApprovalStatus.GRANTED)
            assert (now.redeemed_at is not None) is redeemed
            return revoked

        await asyncio.gather(*map(race, range(RACES)))
    assert findings(database) == []
