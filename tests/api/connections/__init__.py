"""Tests of the connections of clients, below ASGI."""
