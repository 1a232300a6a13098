"""Tests of leases, the dispatcher and long polling."""
