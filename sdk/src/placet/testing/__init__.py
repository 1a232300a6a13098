"""Tests of workflows: in memory with decisions made by the test, and along recorded histories.

``memory`` imitates the rules of the service for one execution. Imports ``engine`` and what that
imports.
"""

from placet.testing.replay import replay
from placet.testing.trial import Trial

__all__ = ["Trial", "replay"]
