"""The metrics of the projector."""

from prometheus_client import Counter, Gauge

LAG_EVENTS = Gauge(
    "placet_projection_lag_events",
    "Positions of the log that the read model has not reached yet",
    ["model"],
)
LAG_SECONDS = Gauge(
    "placet_projection_lag_seconds",
    "For how long the read model has been behind the log",
    ["model"],
)
STOPPED = Gauge(
    "placet_projection_stopped",
    "1 while the read model is stopped because its tables can't be written",
    ["model"],
)
UNREADABLE = Gauge(
    "placet_projection_unreadable_executions",
    "Executions whose rows are not current because an event of theirs can't be read",
    ["model"],
)
PROJECTED = Counter(
    "placet_projection_events",
    "Events projected by this process",
    ["model"],
)
