"""Tests of whole servers in separate processes: faults, races, workers, the documentation."""
