"""Tests of the queries for events."""
