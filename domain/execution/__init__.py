"""The execution: its commands, events and state, and the rules that lead from one to the other.

``decide`` says which events a command causes, ``evolve`` folds an event into the state, and
``transitions`` is the table that both obey. Imports nothing outside of ``domain``.
"""
