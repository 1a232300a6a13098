"""E-mail: what a message looks like, and how it gets to an SMTP server.

``letter.py`` says what is written, ``templates/`` how it looks, ``mime.py`` makes the mail of it,
and ``channel.py`` sends it.
"""
