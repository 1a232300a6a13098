"""The children of a trial. Each ends as soon as it is started."""

from uuid import UUID, uuid5

from placet.engine.child_access import ToChild
from placet.models.commands import SendSignal
from placet.testing.in_memory_log import refuse


def child_id_of(parent_id: str, key: str) -> str:
    """Return the id of a child."""
    return str(uuid5(UUID(parent_id), key))


class EndedChildren:
    """What a workflow can do with them."""

    async def id_of(self, parent_id: str, key: str) -> str:
        """Return the id of a child."""
        return child_id_of(parent_id, key)

    async def send(self, child_id: str, command: ToChild) -> None:
        """Refuse, as the service does for an execution that has ended."""
        what = "signalled" if isinstance(command, SendSignal) else "cancelled"
        refuse("INVALID_TRANSITION", f"execution {child_id} has ended and can't be {what}")
