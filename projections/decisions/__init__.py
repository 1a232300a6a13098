"""The read model of decisions: its tables, its projection and its query.

Imports ``domain``, ``projections.querying`` and ``projections.runtime``. The query can be changed
by itself. Raise the version of the model with every change of the tables or the projection.
"""
