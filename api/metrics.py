"""Prometheus metrics of the API."""

from prometheus_client import Counter, Gauge

REQUESTS = Counter(
    "placet_graphql_requests",
    "GraphQL queries and mutations that were answered",
    ["operation", "code"],
)
FALLBACKS = Counter(
    "placet_fast_path_fallbacks",
    "Operations, and messages of subscriptions, that were left to graphql-core",
    ["reason"],
)
"""The reason says what had no plan or did not fit it: the operation, its variables, its answer, or
a message. Nothing is counted while the fast path is off."""
SOCKETS = Gauge("placet_open_sockets", "Open WebSockets")
SUBSCRIPTIONS = Gauge("placet_open_subscriptions", "Open subscriptions", ["field"])
