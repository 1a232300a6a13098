"""Tests of the projector, its feed, and rebuilds."""
