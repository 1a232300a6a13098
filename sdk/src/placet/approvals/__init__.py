"""Approvals for code that is not a workflow: a gate and a decorator; and what a clearance is.

The payload that is shown and what is done with it must stay the same to the byte: change
``arguments`` and ``clearance`` with care. Imports ``client`` and what ``client`` imports.
"""

from placet.approvals.clearance import Clearance
from placet.approvals.decorator import requires_approval
from placet.approvals.gate import Gate

__all__ = ["Clearance", "Gate", "requires_approval"]
