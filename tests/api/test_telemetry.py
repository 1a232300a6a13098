"""Traces are sent where the variables of OpenTelemetry say."""

from pathlib import Path

import pytest

from api.settings import ConfigurationError
from api.telemetry import wanted
from placet import Client
from tests.support.forked import stack
from tests.support.otlp import otlp_receiver
from tests.support.patience import HANGS

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, False),
        ({ENDPOINT: "http://collector:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({ENDPOINT: "http://collector:4318", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({ENDPOINT: "http://collector:4318", "OTEL_SDK_DISABLED": "TRUE"}, False),
        ({ENDPOINT: " "}, False),
    ],
)
def test_traces_are_sent_if_the_environment_says_where_to(
    environment: dict[str, str], *, expected: bool
) -> None:
    assert wanted(environment) is expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
    ],
)
def test_a_variable_that_can_not_be_followed_is_named(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} is '{value}'"):
        wanted({ENDPOINT: "http://collector:4318", name: value})


async def test_a_server_sends_its_spans_also_the_last_ones(
    log_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with otlp_receiver() as receiver:
        monkeypatch.setenv(ENDPOINT, receiver.endpoint)
        monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
        with stack(tmp_path / "server", database_url=log_url) as server:
            async with Client(server.url, server.tokens["operator"]) as client:
                await client.start("w")
        [span] = receiver.named("command StartExecution")
        assert span.service == "placet-server"
        assert span.span_id in {commit.parent_id for commit in receiver.named("commit")}
        assert set(receiver.paths) == {"/v1/traces"}


async def test_a_collector_that_is_away_disturbs_nothing(
    log_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:9")
    # For so long the library itself would try to send the last spans.
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "600")
    with stack(tmp_path / "server", database_url=log_url) as server:
        async with Client(server.url, server.tokens["operator"]) as client:
            await client.start("w")
        server.process.terminate()
        server.process.wait(HANGS)
