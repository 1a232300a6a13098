"""The ``placet`` command: list, decide, follow and start from a terminal.

``app`` has the commands, ``access`` the options that say where the service is, ``render`` what is
printed. Imports all of the sdk.
"""

from placet.cli.app import main

__all__ = ["main"]
