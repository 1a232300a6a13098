"""A server and an engine send their spans to a collector, and these fit together."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from placet import Client
from tests.sdk.people import until
from tests.support.forked import stack
from tests.support.otlp import ReceivedSpan, otlp_receiver
from tests.support.patience import HANGS


def run_of(spans: list[ReceivedSpan], command: ReceivedSpan) -> ReceivedSpan:
    """Return the span of the run that sent a command."""
    [run] = [span for span in spans if span.span_id == command.parent_id]
    return run


async def test_a_decision_and_the_run_after_it_can_be_found_from_each_other(
    log_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with otlp_receiver() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
        with stack(tmp_path / "server", database_url=log_url) as server:
            environment = os.environ | {"PLACET_TOKEN": server.tokens["engine"]}
            arguments = [sys.executable, "-m", "tests.system.worker", server.url, "10"]
            engine = await asyncio.create_subprocess_exec(*arguments, env=environment)
            try:
                async with (
                    Client(server.url, server.tokens["operator"]) as operator,
                    Client(server.url, server.tokens["approver-a"]) as approver,
                ):
                    started = await operator.start("noted", str(tmp_path / "log"))
                    assert started.execution is not None
                    id_ = started.execution.id

                    async def asked() -> str | None:
                        history = await operator.history(id_)
                        assert history is not None
                        return history.approvals[0].id if history.approvals else None

                    approval = await approver.approval(await until(asked))
                    assert approval is not None
                    await approver.grant(approval)
                    await started.result()
            finally:
                engine.terminate()
                async with asyncio.timeout(HANGS):
                    await engine.wait()
        # Both have sent their last spans before they ended.
        spans = receiver.spans

    assert {span.service for span in spans} == {"placet-server", "placet-engine"}
    [start], [decision] = receiver.named("command StartExecution"), receiver.named("command Decide")
    first, second = receiver.named("run noted")
    assert start.span_id in first.links
    assert {decision.span_id, first.span_id} <= set(second.links)
    assert (first.parent_id, second.parent_id) == ("", "")
    [asking] = receiver.named("command RequestApproval")
    assert run_of(spans, asking) == first
    [ending] = receiver.named("command CompleteExecution")
    assert run_of(spans, ending) == second
    [last] = receiver.named("step last")
    assert (last.parent_id, last.trace_id) == (second.span_id, second.trace_id)
    commits = receiver.named("commit")
    assert decision.span_id in {commit.parent_id for commit in commits}
