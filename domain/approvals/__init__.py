"""Approvals: policies, who may decide, when an approval is resolved, and what a decision covers.

``eligibility`` and ``quorum`` can be changed on their own. What ``policy``, ``state`` and
``document`` define is stored in events, snapshots and digests, so old data must stay readable.
Imports only ``domain``, and of ``domain.execution`` only commands, events, state and transitions.
"""
