"""The execution: its commands, events and state, and the rules that connect them.

``decide`` and ``evolve`` each have one ``match`` and call the module of the subject: ``lifecycle``,
``steps``, ``timers``, ``signals``, ``children``, ``parking`` or ``domain.approvals``. A subject's
module can be changed without reading the others; ``events`` can't, because old events stay in the
log. Imports only ``domain``.
"""
