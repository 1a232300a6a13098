"""Tests of the event tail and of notifications."""
