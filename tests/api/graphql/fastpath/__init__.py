"""Tests that the shortcuts give the same answers as graphql-core."""
