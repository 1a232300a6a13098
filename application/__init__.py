"""The event store, the writer, and everything that follows the log.

Imports ``domain`` alone. A module outside of the folders may be changed by itself; inside, see the
``__init__`` of the folder. The folders import each other in one order: ``event_store``,
``command_handling``, ``subscriptions``, and then ``workers`` and ``process_managers``.
"""
