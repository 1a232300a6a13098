"""Receives GraphQL documents over HTTP and WebSocket, limits them, and runs them.

It works with any schema: it is handed one, a way to authenticate tokens and a way to make contexts.
Limits and caches can be changed without looking further. Imports ``api.errors`` and
``api.metrics``, but neither the schema nor the domain.
"""
