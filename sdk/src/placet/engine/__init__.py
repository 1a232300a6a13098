"""Workflows in Python: steps that are recorded, and approvals that are waited for."""

from placet.engine.clearance import Clearance
from placet.engine.engine import Engine
from placet.engine.run import Run

__all__ = ["Clearance", "Engine", "Run"]
