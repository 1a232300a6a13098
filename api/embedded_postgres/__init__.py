"""Runs a PostgreSQL server from a Python wheel, for development and the demo.

``supervisor.py`` is what others use. Imports nothing else of Placet.
"""
