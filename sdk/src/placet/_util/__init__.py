"""What several packages need: JSON and typed values, digests, validation, calling functions.

Nothing here knows the client or workflows. Changing what ``serde.plain`` writes changes the digests
of payloads that people approved. Imports ``errors`` and ``models``.
"""
