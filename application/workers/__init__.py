"""Workers of an engine: leases, and the executions that are handed to them.

Imports all of the application but ``process_managers``.
"""
