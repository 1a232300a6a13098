"""The metrics of the writer, the event tail and the process managers."""

from prometheus_client import Counter, Gauge, Histogram

COMMANDS = Counter("placet_commands", "Commands answered", ["command", "outcome"])
REFUSALS = Counter("placet_refusals", "Commands refused", ["code"])
QUEUE_DEPTH = Gauge("placet_queue_depth", "Commands waiting for the writer")
BATCH_SIZE = Histogram(
    "placet_batch_size", "Commands in one commit", buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256)
)
COMMIT_SECONDS = Histogram(
    "placet_commit_seconds",
    "Time from loading the states to the commit",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 5),
)
OVERTAKEN = Counter(
    "placet_batches_overtaken", "Batches decided again under the lock, because the log had changed"
)
WAKEUP_SECONDS = Histogram(
    "placet_wakeup_seconds",
    "Time from an event's estimated database time to its delivery to followers in this process",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 5),
)
TIMER_SECONDS = Histogram(
    "placet_timer_seconds",
    "Time from the moment at which a timer is due until it fires",
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 60),
)
CHILDREN_SKIPPED = Counter(
    "placet_children_skipped",
    "Commands to parents and children that failed permanently or could not be determined",
    ["what"],
)
GRANTS_SKIPPED = Counter(
    "placet_standing_grants_skipped",
    "Commands about standing grants that failed permanently or could not be determined",
    ["what"],
)
UNSERVED = Gauge(
    "placet_executions_unserved",
    "Executions that wait for a minute already and whose workflow no connected worker knows",
)
TOO_FEW_PEOPLE = Counter(
    "placet_requests_with_too_few_people",
    "Requests for approval for which the directory knew fewer people who could decide than are "
    "needed now, by the leader",
)
MESSAGES = Counter(
    "placet_messages",
    "Messages by channel: sent, skipped because they no longer mattered, tries that failed, dead",
    ["channel", "outcome"],
)
MESSAGES_WAITING = Gauge(
    "placet_messages_waiting", "Messages that are to be sent, by the leader", ["channel"]
)
EVENTS_NOT_TOLD = Counter(
    "placet_events_not_told", "Events that could not be turned into messages", ["event"]
)
