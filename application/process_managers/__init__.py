"""Process managers: they follow the log and send commands, for timers and children.

Imports all of the application but ``workers``. Only the leader acts; see ``leader_election``. Only
``api.wiring`` and ``api.slack`` use these modules, so they can be changed without looking further.
"""
