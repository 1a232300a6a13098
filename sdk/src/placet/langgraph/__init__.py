"""Graphs of LangGraph that wait for people: interrupts are approvals, decisions their answers.

``shapes`` knows the kinds of interrupt and their answers, ``handover`` uses the grants. Imports
``approvals`` and what that imports. Needs the extra ``langgraph``.
"""

from placet._util.optional_imports import needs

with needs("langgraph"):
    from placet.langgraph.graph_runs import Approvals

__all__ = ["Approvals"]
