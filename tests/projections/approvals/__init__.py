"""Tests of the queries for approvals."""
