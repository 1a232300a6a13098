"""The client: queries, commands, leases, subscriptions and waiting, over one transport.

Each part is a class that takes the transport; a new method goes into its part, into ``Client`` and
into ``placet.sync``. Imports ``models``, ``policy``, ``errors`` and ``_util``.
"""

from placet.client.client import Client

__all__ = ["Client"]
