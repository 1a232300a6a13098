"""Leases of workers, and the executions that are assigned to them.

Imports all of the application but ``process_managers``. The API uses ``Leases``, ``Dispatcher`` and
``LongPolling``; ``lease_renewal`` can be changed without looking further.
"""
