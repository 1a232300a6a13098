"""Tests of the queries for executions."""
