"""Prometheus metrics of the API."""

from prometheus_client import Counter, Gauge

REQUESTS = Counter(
    "placet_graphql_requests",
    "GraphQL queries and mutations that were answered",
    ["operation", "code"],
)
SOCKETS = Gauge("placet_open_sockets", "Open WebSockets")
SUBSCRIPTIONS = Gauge("placet_open_subscriptions", "Open subscriptions", ["field"])
