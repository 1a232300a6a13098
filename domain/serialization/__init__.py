"""The stored bytes of events and states, and canonical JSON (RFC 8785) for digests.

Stored bytes must stay readable for ever, so change nothing here without the golden files in
``tests/golden``. Imports only ``domain``, ``msgspec``, ``rpds`` and ``rfc8785``.
"""
