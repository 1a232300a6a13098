"""How long a test waits for something before it says that it never came.

It is long, because the machine may run much else, and costs nothing when the thing comes. Tests
don't measure how soon something comes: a shorter limit would do that.
"""

HANGS = 60.0
"""Seconds."""
