"""Following the log: every event once, in order and without a gap.

Imports ``domain``, ``application.event_store`` and ``application.command_handling``. The workers,
the process managers and the API use ``EventTail``; ``notifications`` is used here alone.
"""
