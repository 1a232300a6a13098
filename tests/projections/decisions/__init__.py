"""Tests of the read model of decisions."""
