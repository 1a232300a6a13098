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
from tests.support.patience import HANGS
from tests.system.conftest import Opened

FINANCE = require(1, group="finance")
RACES = 20
PAYLOAD = {"euros": 5}
PENDING = ApprovalStatus.PENDING
WITHIN = timedelta(seconds=1)
EARLIEST, APART, LATER = timedelta(seconds=-0.2), timedelta(seconds=0.075), timedelta(seconds=1)


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

        async def race(number: int, after_deadline: timedelta) -> bool:
            """Grant so long after the deadline. Return whether the grant won."""
            within = WITHIN + max(-after_deadline, timedelta(0))
            approval = await ask(engine, (await operator.start("racing")).id, within)
            assert approval.deadline is not None
            at = approval.deadline + after_deadline
            await asyncio.sleep((at - datetime.now(UTC)).total_seconds())
            try:
                await approvers[number % 2].grant(approval)
            except AlreadyDecided:
                granted = False
            else:
                granted = True

            async def resolved() -> Approval | None:
                now = await operator.approval(approval.id)
                return now if now is not None and now.status is not PENDING else None

            now = await until(resolved)
            if granted:
                assert (now.status, len(now.decisions)) == (ApprovalStatus.GRANTED, 1)
            else:
                assert (now.status, now.decisions) == (ApprovalStatus.EXPIRED, [])
            return granted

        # Whoever always wins gives way, until both have won: machines differ in speed.
        won: set[bool] = set()
        earliest = EARLIEST
        async with asyncio.timeout(HANGS):
            while len(won) < 2:
                granted = await asyncio.gather(
                    *(race(number, earliest + number * APART) for number in range(RACES))
                )
                won.update(granted)
                earliest += LATER if all(granted) else -LATER
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
