"""Webhooks as the database knows them: where they go, which events they get, and their secrets.

What is posted is made in ``api.channels.webhooks``. This package may import the event store.
"""
