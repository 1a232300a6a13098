"""Tests of the writer: order, batches, and faults of the database."""
