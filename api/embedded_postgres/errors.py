"""Errors of the embedded database."""


class PostgresError(Exception):
    """PostgreSQL can't be started or stopped. The message has its output."""


class EmbeddedError(Exception):
    """The embedded database can't be used. The message says why and what to do."""


class InUseError(EmbeddedError):
    """Another process uses the data directory."""
