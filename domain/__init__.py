"""The rules of an execution, pure: no clock, no random numbers, no input or output.

``decide(state, command)`` says which events a command causes or why it is refused;
``evolve(state, recorded)`` folds one recorded event into the state. Time, ids and people come in
from outside, so the same log always gives the same state.
"""
