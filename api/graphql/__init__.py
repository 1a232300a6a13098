"""How GraphQL documents arrive and are run: HTTP, WebSocket, limits, caches.

Knows nothing of executions: a schema and a context are handed to it.
"""
