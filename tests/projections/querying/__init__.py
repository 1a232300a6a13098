"""Tests of checkpoints, full-text search and pagination."""
