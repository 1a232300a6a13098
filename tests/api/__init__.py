"""Tests of the API: the schema and its resolvers, HTTP and WebSocket, configuration."""
