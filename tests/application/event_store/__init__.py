"""Tests of the event store: reads, snapshots, recent events, and the audit."""
