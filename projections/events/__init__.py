"""The read model of events: who caused what and when, to find events of the log by.

Imports ``domain``, ``application.event_store``, ``projections.querying`` and
``projections.runtime``. The query can be changed by itself. Raise the version of the model with
every change of the tables or the projection.
"""
