"""What the programs need, imported once by the process that they are forked from."""

import gc

import api.cli
import api.uvicorn_server
import placet.cli
import placet.mcp

__all__ = ["api", "placet"]

# Or the first collection of each process would write to, and so copy, all of it.
gc.freeze()
