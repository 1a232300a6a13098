"""Tests of the application on a real database, without the API.

``server_process`` has the helpers: one server process, and the commands that tests send.
"""
