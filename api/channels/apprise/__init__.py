"""All other channels: Teams, ntfy, PagerDuty, SMS and so on, by the library ``apprise``.

They only send: a title, a short text and a link. The library is an optional extra, and is imported
only if a file names URLs for it.
"""
