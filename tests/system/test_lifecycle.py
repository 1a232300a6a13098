"""The benchmark of lifecycles, run on Placet itself with small sizes."""

import sys
from typing import Any

import pytest

from bench.rivals.measuring_process import PartError, measured
from bench.rivals.parts import Sizes

SIZES = Sizes(
    idle=3, rested=3, warm_seconds=0.5, load_seconds=2, killed=5, waiting=(8, 12), decided=2
)


async def figures(part: str, database: str, contender: str = "placet") -> list[dict[str, Any]]:
    """Return what is measured of a part."""
    versions, *found = [
        each async for each in measured(sys.executable, contender, part, database, SIZES)
    ]
    assert versions["versions"].keys() == {"Placet", "PostgreSQL", "Python"}
    return found


@pytest.mark.parametrize("part", ["idle", "rested"])
async def test_idle_every_decision_wakes_its_lifecycle(part: str, database: str) -> None:
    [idle] = await figures(part, database)
    assert len(idle["wakes"]) == 3
    assert all(wake > 0 for wake in idle["wakes"])


async def test_under_load_lifecycles_end_and_take_processor_time(database: str) -> None:
    [load] = await figures("load", database)
    assert load["wakes"]
    assert load["processor"].keys() == {"worker", "server", "PostgreSQL", "client"}
    assert all(seconds >= 0 for seconds in load["processor"].values())


async def test_what_a_killed_worker_held_is_completed_by_another(database: str) -> None:
    [killed] = await figures("killed", database)
    assert killed["killed"] == 5
    assert 0 < killed["after_lease"] < killed["seconds"]


async def test_memory_is_reported_for_each_number_of_waiting_lifecycles(database: str) -> None:
    waiting = await figures("waiting", database)
    assert [each["waiting"] for each in waiting] == [0, 8, 12]
    assert all(each["worker"] > 0 and each["server"] > 0 for each in waiting)
    assert [each["filled"] for each in waiting[1:]] == [8, 6]


async def test_a_failed_part_reports_the_output_of_its_process(database_url: str) -> None:
    with pytest.raises(PartError, match="KeyError: 'nonsense'"):
        await figures("idle", database_url, contender="nonsense")
