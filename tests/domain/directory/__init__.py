"""Tests of people and their substitutes."""
