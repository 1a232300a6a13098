"""Read models: tables that are made from the log, their queries, and the projector.

Imports ``domain`` and ``application.event_store``. The folders import each other in one order:
``querying``, ``runtime``, then ``executions`` and ``approvals``, then ``registry``. If a change
writes other rows, raise the version of the read model.
"""
