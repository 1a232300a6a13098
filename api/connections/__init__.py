"""Connections of clients, below ASGI: how long they may take, and how much memory they may hold.

Subclasses of uvicorn's protocols, which ``api.uvicorn_server`` uses. They know nothing of GraphQL
but the name under which the application finds its connection.
"""
