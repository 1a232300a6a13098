"""A log that has events of older shapes: it is read, continued and verified like any other."""

import psycopg

from domain.approvals.commands import (
    RequestApproval,
)
from domain.approvals.events import (
    ApprovalGranted,
)
from domain.serialization.event_codec import topics_of
from tests.application.event_store.verification.rewriting import in_older_shape, rewrite
from tests.application.server_process import ServerProcess, claim, grant
from tests.domain.ask import needs, policy
from tests.domain.people import ANN, BOB, ENGINE
from tests.support.audit import findings


async def test_a_decision_of_version_1_counts_beside_one_of_the_present_version(
    log_url: str,
) -> None:
    async with ServerProcess.open(log_url) as earlier:
        execution = await earlier.start()
        await earlier.do(claim(execution.id))
        request = RequestApproval(
            by=ENGINE,
            execution_id=execution.id,
            fence=1,
            key="permit",
            title="Trip",
            payload={"cost": 1},
            policy=policy(needs("finance", count=2)),
        )
        approval = (await earlier.do(request)).execution.approvals[1]
        await earlier.do(grant(approval, by=ANN))
    with psycopg.connect(log_url) as connection:
        rewrite(connection, execution.id, in_older_shape(4, groups=("finance",)))

    async with ServerProcess.open(log_url) as process:
        await process.do(grant(approval, by=BOB))

        state = await process.reader.execution(execution.id)
        assert state is not None
        first, second = state.approvals[1].decisions
        assert (first.groups, first.all_groups_known) == (("finance",), False)
        assert (second.groups, second.all_groups_known) == (("finance",), True)
        assert state.approvals[1].status == "GRANTED"
        [old, new] = [
            event
            for event in await process.reader.events()
            if isinstance(event.recorded.event, ApprovalGranted)
        ]
        assert (new.topic, old.topic) == topics_of(ApprovalGranted)
    assert findings(log_url) == []
