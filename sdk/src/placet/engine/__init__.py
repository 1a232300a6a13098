"""Workflows in Python: steps that are recorded, and approvals that are waited for."""

from placet.approvals.clearance import Clearance
from placet.engine.context import Run
from placet.engine.worker import Engine

__all__ = ["Clearance", "Engine", "Run"]
