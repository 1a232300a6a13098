"""The event log on PostgreSQL: appending, reading, snapshots, and checking what is stored.

Imports ``domain`` alone. All other parts of the application, and the read models, build on it.
"""
