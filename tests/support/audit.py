"""What the whole audit finds in a database."""

from application.event_store.verification.log_audit import Verification
from application.event_store.verification.positions import KIND as POSITION
from projections.registry import MODELS
from projections.runtime.audit import ReadModelAudit


def findings(url: str) -> list[str]:
    """Return the lines that ``placet-server verify`` would print; none if all is sound."""
    audits = [ReadModelAudit(model) for model in MODELS.values()]
    return [str(finding) for finding in Verification(url, audits).findings()]


def findings_of_streams(url: str) -> list[str]:
    """Return what the audit of the log finds, except about the positions of the log.

    For a log that a test has cut: a process manager may rightly be found at a position whose event
    is gone. Whether it had read that far is a matter of timing.
    """
    return [str(each) for each in Verification(url).findings() if each.kind != POSITION]
