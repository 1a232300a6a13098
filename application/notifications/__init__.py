"""Messages that people and other systems must get, and their delivery.

``message.py`` and ``channel.py`` are what a channel needs to know. ``outbox_table.py`` owns the
table, ``recipients.py`` says who is told of what, ``relevance.py`` what still matters when a
message is sent, and ``delivery.py`` sends. ``application/process_managers/notifications.py``
turns events of the log into messages.
"""
