"""What the service does by itself: it follows the log and sends ordinary commands.

Imports all of the application but ``workers``. One process at a time acts; see ``leader_lease``.
"""
