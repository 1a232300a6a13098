"""The audit names every change of the log, and nothing else."""

import psycopg
import pytest

from application.event_store.snapshots import SNAPSHOT_INTERVAL
from application.event_store.verification import Finding, Verification
from tests.application.server_process import ServerProcess, claim, complete, grant, step


async def write(process: ServerProcess) -> object:
    other = await process.start()
    execution = await process.start(input={"who": "us"})
    await process.do(claim(execution.id))
    approval = await process.ask(execution.id, fence=1, payload={"cost": 120})
    await process.do(grant(approval))
    await process.do(complete(execution.id, fence=1))
    await process.do(claim(other.id))
    return execution.id


def findings(url: str) -> list[Finding]:
    return list(Verification(url).findings())


async def test_an_untouched_log_is_sound(process: ServerProcess) -> None:
    await write(process)
    verification = Verification(process.url)
    assert list(verification.findings()) == []
    assert (verification.executions, verification.events) == (2, 8)


@pytest.mark.parametrize(
    ("change", "versions"),
    [
        ("SET state = replace(convert_from(state, 'UTF8'), '\"at\"', '\"At\"')::bytea", [3, 4]),
        (
            "SET state = replace(convert_from(state, 'UTF8'), 'sha256:', 'sha256;')::bytea",
            [3, 3, 4],
        ),
        ("SET topic = 'execution.retried.v1'", [3, 4]),
        ("SET originator_version = 30", [4, 30]),
    ],
)
async def test_a_change_is_named(process: ServerProcess, change: str, versions: list[int]) -> None:
    execution_id = await write(process)
    with psycopg.connect(process.url) as connection:
        connection.execute(
            f"UPDATE execution_events {change} WHERE originator_id = %s AND originator_version = 3",
            (execution_id,),
        )
    found = findings(process.url)
    assert {finding.execution_id for finding in found} == {execution_id}
    assert [finding.version for finding in found][: len(versions)] == versions
    assert f"execution {execution_id} version" in str(found[0])


async def test_a_deleted_event_is_named(process: ServerProcess) -> None:
    execution_id = await write(process)
    with psycopg.connect(process.url) as connection:
        connection.execute(
            "DELETE FROM execution_events WHERE originator_id = %s AND originator_version = 4",
            (execution_id,),
        )
    [finding, *_] = findings(process.url)
    assert finding.version == 5
    assert "versions 4 to 4 are missing" in finding.message


async def test_a_replaced_person_is_named(process: ServerProcess) -> None:
    execution_id = await write(process)
    with psycopg.connect(process.url) as connection:
        connection.execute(
            "UPDATE execution_events SET state ="
            ' replace(convert_from(state, \'UTF8\'), \'"actor":"ann"\', \'"actor":"bob"\')::bytea'
            " WHERE originator_id = %s",
            (execution_id,),
        )
    assert [finding.version for finding in findings(process.url)] == [5, 6]


async def test_a_snapshot_that_contradicts_the_events_is_named(process: ServerProcess) -> None:
    execution = await process.start(input={"amount": 100})
    await process.send(*[step(execution.id, str(n)) for n in range(SNAPSHOT_INTERVAL)])
    with psycopg.connect(process.url, autocommit=True) as connection:
        while not connection.execute("SELECT FROM execution_snapshots").rowcount:
            pass
        assert findings(process.url) == []
        connection.execute(
            "UPDATE execution_snapshots SET"
            " state = replace(convert_from(state, 'UTF8'), '100', '999')::bytea"
        )
    [finding] = findings(process.url)
    assert "snapshot" in finding.message
