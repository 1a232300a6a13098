"""What ``placet-server verify`` says of its work, so that nobody takes it for more than it is."""

from collections.abc import Iterator

from application.event_store.verification.log_audit import Verification

LIMITS = (
    "not checked: leases, releases, and who was in which group",
    (
        "not found without --state: a removed execution of which no other table or execution says "
        "anything; events that were all written anew, with new hashes and in agreement with "
        "everything else; what only the last event of an execution says"
    ),
)


def report(verification: Verification, found: int) -> Iterator[str]:
    """Say what was checked, what may or may not be in order, and what can't be found this way."""
    apart = ", apart from the findings above" if found else ""
    yield f"checked{apart}, up to position {verification.position}:"
    for line in verification.checked():
        yield f"  {line}"
    for note in verification.notes():
        yield f"note: {note}"
    yield from LIMITS
