"""Tests of the schema: its contract, and its resolvers without HTTP."""
