"""Tests of timers, children and leader election, also with several processes."""
