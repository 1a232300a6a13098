"""The bytes of events and states, and canonical JSON (RFC 8785) for digests.

Stored bytes are read for ever: a changed event gets a new topic. Imports nothing outside of
``domain``.
"""
