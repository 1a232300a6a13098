"""Tests of the embedded PostgreSQL, as a process that is killed, restarted and shared."""
