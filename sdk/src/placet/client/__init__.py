"""The client: queries, commands, subscriptions, and waiting for a decision.

Imports ``models``, ``errors``, ``policy`` and ``_util``.
"""

from placet.client.client import Client

__all__ = ["Client"]
