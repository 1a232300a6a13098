"""The client: everything that the contract offers, for one service and one token."""

from placet.client.leases import Leases
from placet.client.mutations import Mutations
from placet.client.waiting import Waits


class Client(Mutations, Leases, Waits):
    """An async client.

    ``async with Client("http://127.0.0.1:8000", token) as client: ...``
    """
