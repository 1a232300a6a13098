"""Tests of the read models.

``event_log`` writes events into the log without a writer, ``tables`` compares the read models with
the fold.
"""
