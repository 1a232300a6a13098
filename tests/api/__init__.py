"""Tests of the API: the schema and its resolvers, HTTP and WebSocket, configuration.

``graphql_client`` executes documents without HTTP, ``whole_server`` runs a complete server.
"""
