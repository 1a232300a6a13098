"""What the whole audit finds in a database."""

from application.event_store.verification.log_audit import Verification
from projections.registry import MODELS
from projections.runtime.audit import ReadModelAudit


def findings(url: str) -> list[str]:
    """Return the lines that ``placet-server verify`` would print; none if all is sound."""
    audits = [ReadModelAudit(model) for model in MODELS.values()]
    return [str(finding) for finding in Verification(url, audits).findings()]
