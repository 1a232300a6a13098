"""Tests of workflows: in memory with decisions of the test, and along recorded histories."""

from placet.testing.replay import replay
from placet.testing.trial import Trial

__all__ = ["Trial", "replay"]
