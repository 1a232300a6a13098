"""The event log on PostgreSQL: append, read, snapshots, and the audit of what is stored.

Imports ``domain`` alone. The rest of the application and the read models import it, so a change of
a signature reaches far. ``verification`` and the snapshot modules can be changed by themselves.
"""
