"""Tests of commands, events and states of an execution."""
