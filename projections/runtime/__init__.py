"""How read models are created, projected from the log, and rebuilt.

Imports ``domain``, ``application.event_store`` and ``projections.querying``. The read models are
passed in, so it knows none of them, and can be changed without looking at them.
"""
