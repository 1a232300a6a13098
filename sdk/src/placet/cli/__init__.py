"""The ``placet`` command: look, decide, follow and start from a terminal."""

from placet.cli.app import main

__all__ = ["main"]
