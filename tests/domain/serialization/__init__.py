"""Tests of stored bytes: events, states, canonical JSON."""
