"""What the edge tells Prometheus."""

from prometheus_client import Counter, Gauge

REQUESTS = Counter("placet_graphql_requests", "GraphQL operations answered", ["operation", "code"])
SOCKETS = Gauge("placet_open_sockets", "WebSockets that are open")
SUBSCRIPTIONS = Gauge("placet_open_subscriptions", "Subscriptions that are open", ["field"])
