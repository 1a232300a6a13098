"""Tests of workflows: in memory with decisions made by the test, and along recorded histories.

The ``in_memory`` modules imitate the rules of the service for one execution: a rule that changes
there changes here. Imports ``engine`` and what that imports.
"""

from placet.testing.in_memory_decisions import Login
from placet.testing.replay import replay
from placet.testing.trial import Trial, TrialFailed

__all__ = ["Login", "Trial", "TrialFailed", "replay"]
