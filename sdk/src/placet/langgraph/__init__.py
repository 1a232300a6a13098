"""Graphs of LangGraph that wait for people: interrupts are approvals, decisions their answers."""

from placet._util.optional_imports import needs

with needs("langgraph"):
    from placet.langgraph.approvals import Approvals

__all__ = ["Approvals"]
