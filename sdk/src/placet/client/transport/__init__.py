"""How operations reach the service: HTTP, the shared WebSocket, retries, and the operations.

``http`` sends and chooses the way; everything else here serves it and knows nothing of the parts of
the client. Imports ``models``, ``errors`` and ``_util``.
"""
