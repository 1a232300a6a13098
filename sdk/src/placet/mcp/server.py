"""The server: the tools and their descriptions, over standard input and output."""

from importlib.metadata import version
from typing import Any

from mcp.server import MCPServer
from mcp.types import ToolAnnotations

from placet.approvals.gate import Gate
from placet.mcp.standard_input import standard_streams
from placet.mcp.tools import Tools
from placet.policy import Policy

INSTRUCTIONS = """\
Before an action that needs people's approval: request_approval with the exact payload, then \
await_approval until it is no longer PENDING, then redeem_approval with the same payload, then act \
once, then report_outcome. Never act when redeem_approval did not answer act: true."""


class _Server(MCPServer[Any]):
    """Refuses what the library's decoder would take."""

    async def run_stdio_async(self) -> None:
        """Serve over standard input and output."""
        low = self._lowlevel_server
        async with standard_streams() as (read, write):
            await low.run(read, write, low.create_initialization_options())


async def serve(gate: Gate, policy: Policy, *, on_behalf_of: str | None = None) -> None:
    """Serve until standard input ends. Nothing else may write to standard output meanwhile."""
    tools = Tools(gate, policy, on_behalf_of)
    server = _Server(
        "placet",
        title="Placet",
        instructions=INSTRUCTIONS,
        version=version("placet"),
        log_level="WARNING",
    )
    for tool, title, hints in (
        (tools.request_approval, "Ask people for approval", _hints(idempotent=True)),
        (tools.await_approval, "Wait for people's decision", _hints(idempotent=True)),
        (tools.get_approval, "Look up an approval", _hints(reads=True, idempotent=True)),
        # Not idempotent: a client that repeats it by itself would hear that it is used up.
        (tools.redeem_approval, "Use an approval", _hints(destroys=True)),
        (tools.report_outcome, "Report the outcome", _hints(idempotent=True)),
        (tools.withdraw_approval, "Withdraw a request", _hints(destroys=True, idempotent=True)),
    ):
        server.add_tool(tool, title=title, annotations=hints, structured_output=True)
    await server.run_stdio_async()


def _hints(
    *, reads: bool = False, destroys: bool = False, idempotent: bool = False
) -> ToolAnnotations:
    return ToolAnnotations(
        read_only_hint=reads,
        destructive_hint=destroys,
        idempotent_hint=idempotent,
        # People decide, so the outcome is open.
        open_world_hint=True,
    )
