"""How read models are kept: created, projected from the log, and rebuilt.

Imports ``domain`` and ``projections.querying``. The read models are handed to it.
"""
