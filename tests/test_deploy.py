"""The alert rules and the dashboard name metrics and labels that the server has."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import prometheus_client
import yaml  # type: ignore[import-untyped]

# Imports every module that has metrics.
import api.container  # noqa: F401
from tests.test_packaging import ROOT

DEPLOY = ROOT / "deploy"
RULES = DEPLOY / "prometheus" / "placet.rules.yml"
DASHBOARD = DEPLOY / "grafana" / "placet.json"

METRIC = re.compile(r"(\bplacet_\w+)(?:\{([^}]*)\})?")
SELECTED = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
GROUPED = re.compile(r"\bby \(([^)]*)\)")
OF_PROMETHEUS = {"instance", "job", "le"}


def labels_of_metrics() -> dict[str, set[str]]:
    """Return the labels of each series of the server, by its name in Prometheus."""
    found: dict[str, set[str]] = {}
    for collector, names in prometheus_client.REGISTRY._collector_to_names.items():
        labels = set(getattr(collector, "_labelnames", ()))
        if not hasattr(collector, "_labelnames"):
            labels = {"workflow"}
        found |= {name: labels for name in names if name.startswith("placet_")}
    return found


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return [panel for panel in found if panel["type"] != "row"]


def expressions() -> Iterator[str]:
    yield from (rule["expr"] for rule in alerts())
    yield from (target["expr"] for panel in panels() for target in panel["targets"])


def test_every_metric_and_label_is_one_of_the_server() -> None:
    known = labels_of_metrics()
    for expression in expressions():
        metrics = METRIC.findall(expression)
        assert metrics or expression.startswith("up{"), expression
        labels = set(OF_PROMETHEUS)
        for name, selected in metrics:
            assert name in known, f"{name} in {expression}"
            labels |= known[name]
            assert set(SELECTED.findall(selected)) <= known[name], expression
        for grouped in GROUPED.findall(expression):
            assert set(re.split(r",\s*", grouped)) <= labels, expression


def test_a_wrong_name_would_be_found() -> None:
    assert "placet_approvals_pending" in labels_of_metrics()
    assert "placet_messages" not in set(METRIC.findall("rate(placet_messages_total[5m])")[0])
    assert labels_of_metrics()["placet_messages_total"] == {"channel", "outcome"}


def test_what_all_servers_report_alike_is_not_added_up() -> None:
    shared = re.compile(r"sum[^(]*\((?:rate|increase)?\(?placet_(approval|projection_lag)")
    assert not [each for each in expressions() if shared.search(each)]


def test_every_alert_says_what_is_wrong_and_how_urgent_it_is() -> None:
    names = [rule["alert"] for rule in alerts()]
    assert len(set(names)) == len(names)
    for rule in alerts():
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert rule["annotations"]["summary"]
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["expr"].count("(") == rule["expr"].count(")")


def test_every_panel_has_a_place_of_its_own_and_a_description() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        assert panel["title"]
        assert panel["description"]
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells


def test_the_docs_name_the_files() -> None:
    docs = (ROOT / "docs" / "operations.md").read_text()
    readme = (DEPLOY / "README.md").read_text()
    for file in (RULES, DASHBOARD):
        assert str(Path(file).relative_to(DEPLOY)) in readme
    assert "(../deploy/README.md)" in docs
