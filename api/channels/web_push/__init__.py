"""The channel of web push: a message without content to the browsers that people allow it in.

By RFC 8030 (the request to a browser's push service), RFC 8291 (its encryption) and RFC 8292 (who
sends it, VAPID).
"""
