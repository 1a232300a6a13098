"""Tests that run each example."""
