"""Workflows in Python: steps that are recorded, and approvals that are waited for.

``worker`` claims executions, ``execution_runner`` runs one of them, ``workflow_instance`` runs its
code. Whatever changes the order in which a workflow hears of events breaks the replay of executions
that are under way. Imports ``approvals``, ``client`` and what these import.
"""

from placet.approvals.clearance import Clearance
from placet.engine.context import Run
from placet.engine.run_approvals import Asked
from placet.engine.run_children import ChildHandle
from placet.engine.run_info import RunInfo
from placet.engine.worker import Engine

__all__ = ["Asked", "ChildHandle", "Clearance", "Engine", "Run", "RunInfo"]
