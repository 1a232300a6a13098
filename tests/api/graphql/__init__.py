"""Tests of GraphQL over HTTP and WebSocket, on a whole server."""
