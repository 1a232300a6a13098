"""The permit log through the public API: the read models show what the file says."""

import os
from pathlib import Path

import pytest

from examples import permit_log
from examples.demo import MADE_UP
from examples.permit_replay import run
from tests.support.forked import stack

PERMITS = permit_log.find()


@pytest.mark.skipif(
    PERMITS is None and "CI" not in os.environ,
    reason="the permit log is not here; say where with PERMITS",
)
async def test_every_case_comes_out_as_the_file_says(tmp_path: Path) -> None:
    assert PERMITS is not None
    cases = list(permit_log.read(PERMITS))
    with stack(tmp_path) as server:
        report = await run(server, cases)
    assert report.differences == []
    assert report.cases == 1478
    assert report.answers["accepted"] > 10_000


async def test_the_made_up_trips_of_the_demo_come_out_as_expected(tmp_path: Path) -> None:
    with stack(tmp_path) as server:
        report = await run(server, list(MADE_UP))
    assert report.differences == []
    assert report.answers["accepted"] > len(MADE_UP)
