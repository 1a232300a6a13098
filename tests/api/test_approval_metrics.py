"""Metrics about approvals: what waits by group, and how long decisions took."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from api.approval_metrics import (
    BOUNDS,
    DECISION_TIMES,
    MAX_GROUPS,
    MAX_WORKFLOWS,
    NAMED,
    OTHERS,
    ApprovalMetrics,
    DecisionTimes,
)
from projections.approvals.numbers import ApprovalNumbers
from projections.approvals.statistics import bucket_of
from tests.api.whole_server import WholeServer
from tests.console.asking import ask
from tests.console.test_overview import decide
from tests.support.patience import HANGS


@pytest.fixture(autouse=True)
def nothing_kept() -> None:
    """Each test begins as a server does."""
    DECISION_TIMES.clear()


Samples = dict[tuple[str, str], float]


def label_of(labels: dict[str, str]) -> str:
    return labels.get("workflow") or labels.get("group") or ""


async def scraped(server: WholeServer) -> Samples:
    """Return the samples about approvals, by name and label."""
    text = (await server.http.get("/metrics")).text
    return {
        (sample.name, label_of(sample.labels)): sample.value
        for family in text_string_to_metric_families(text)
        if family.name.startswith("placet_approval")
        for sample in family.samples
        if sample.labels.get("le") in {None, "+Inf"}
    }


async def until_scraped(server: WholeServer, name: str, label: str, value: float) -> Samples:
    async with asyncio.timeout(HANGS):
        while (found := await scraped(server)).get((name, label)) != value:
            await asyncio.sleep(0.02)
    return found


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep no numbers: the read models follow the log after a moment."""
    monkeypatch.setattr("projections.approvals.numbers.FRESH", 0)
    monkeypatch.setattr("projections.approvals.numbers.SHARE", 0)


def asks(*groups: str) -> dict[str, Any]:
    return {"requirements": [{"groups": list(groups)}]}


async def test_what_waits_is_counted_for_each_group_that_is_asked(
    whole_server: WholeServer,
) -> None:
    await ask(whole_server, policy=asks("finance"))
    await ask(whole_server, policy=asks("finance", "legal"))
    await ask(whole_server, policy={"requirements": [{"users": ["ann"]}]})
    found = await until_scraped(whole_server, "placet_approvals_pending", "", 3)
    by_group = {label: n for (name, label), n in found.items() if name.endswith("_by_group")}
    assert by_group == {"finance": 2, "legal": 1, NAMED: 1}
    assert 0 < found["placet_approvals_oldest_pending_seconds", "finance"] < 60


async def test_the_time_to_a_decision_is_counted_by_workflow(whole_server: WholeServer) -> None:
    await decide(whole_server, await ask(whole_server), grants=True)
    await decide(whole_server, await ask(whole_server), grants=False)
    name = "placet_approval_decision_seconds"
    found = await until_scraped(whole_server, f"{name}_bucket", "payment", 2)
    assert found[f"{name}_count", "payment"] == 2
    assert 0 < found[f"{name}_sum", "payment"] < 60
    assert found["placet_approvals_pending", ""] == 0
    # What is decided on a later day is added to what was before.
    with psycopg.connect(whole_server.url) as connection:
        connection.execute(
            "INSERT INTO approval_days SELECT day - 2, workflow, outcome, took, 5"
            " FROM approval_days WHERE outcome = 'GRANTED'"
        )
    assert await ApprovalNumbers(whole_server.pool).read() is not None
    fresh = ApprovalMetrics(ApprovalNumbers(whole_server.pool))
    await fresh.refresh()
    [family] = DECISION_TIMES.collect()
    assert family.samples[len(BOUNDS)].value == 7


async def test_many_scrapes_read_the_database_once(
    whole_server: WholeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.approvals.numbers.FRESH", 60)
    await until_scraped(whole_server, "placet_approvals_pending", "", 0)
    await ask(whole_server)
    await asyncio.gather(*(scraped(whole_server) for _ in range(5)))
    assert (await scraped(whole_server))["placet_approvals_pending", ""] == 0


async def test_a_scrape_without_a_database_has_all_other_metrics(
    whole_server: WholeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ask(whole_server)
    await until_scraped(whole_server, "placet_approvals_pending", "", 1)

    async def away(_: ApprovalNumbers) -> None:
        msg = "the database is away"
        raise psycopg.OperationalError(msg)

    monkeypatch.setattr(ApprovalNumbers, "read", away)
    answer = await whole_server.http.get("/metrics")
    assert answer.status_code == 200
    assert "placet_commands_total" in answer.text
    assert "placet_approvals_pending NaN" in answer.text
    assert "placet_approvals_pending_by_group{" not in answer.text


async def test_labels_stay_few(whole_server: WholeServer) -> None:
    names = [f"group-{n:03}" for n in range(MAX_GROUPS + 20)]
    for first in range(0, len(names), 40):
        await ask(whole_server, policy=asks(*names[first : first + 40]))
    found = await until_scraped(whole_server, "placet_approvals_pending_by_group", OTHERS, 20)
    labels = {label for name, label in found if name.endswith("_by_group")}
    assert len(labels) == MAX_GROUPS + 1


def counts_of(times: DecisionTimes) -> dict[str, float]:
    [family] = times.collect()
    return {
        sample.labels["workflow"]: sample.value
        for sample in family.samples
        if sample.name.endswith("_count")
    }


def test_a_workflow_keeps_its_label_and_no_number_falls() -> None:
    times = DecisionTimes()
    hour = bucket_of(timedelta(hours=1))
    many = {f"w{n:03}": Counter({hour: 10 + n}) for n in range(MAX_WORKFLOWS + 5)}
    times.take(many)
    first = counts_of(times)
    assert len(first) == MAX_WORKFLOWS + 1
    assert first[OTHERS] == sum(10 + n for n in range(5))

    times.take({**many, "w000": Counter({hour: 1_000}), "w100": Counter({hour: 1})})
    later = counts_of(times)
    assert later.keys() == first.keys()
    assert later["w100"] == first["w100"]
    assert later[OTHERS] == first[OTHERS] + 990


def test_a_time_is_counted_in_each_bucket_that_it_fits() -> None:
    times = DecisionTimes()
    times.take({"w": {bucket_of(timedelta(minutes=10)): 2, bucket_of(timedelta(days=90)): 1}})
    [family] = times.collect()
    buckets = [s.value for s in family.samples if s.name.endswith("_bucket")]
    assert buckets == [0, 0, 0, *[2] * (len(BOUNDS) - 3), 3]
