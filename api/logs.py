"""Logs, also those of libraries: one JSON object per line, on standard error.

Errors of libraries name URLs, and those can have secrets in them, which are taken out of each line.
"""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import orjson
import structlog

from application.redaction import without_secrets

_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
]


def configure(level: str) -> None:
    """Set up logging for the whole process. ``level`` is the lowest level that is logged."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _without_secrets,
                structlog.processors.JSONRenderer(serializer=_dumps),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # A line for each attempt to connect. That the database is lost and back is logged once, by
    # api.database_monitor.
    logging.getLogger("psycopg.pool").setLevel(max(root.level, logging.ERROR))
    # A line for each request to another server, with its address.
    logging.getLogger("httpx").setLevel(max(root.level, logging.WARNING))
    # Two lines for each message, and below that what is sent.
    logging.getLogger("apprise").setLevel(logging.WARNING)


def _without_secrets(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in line.items():
        if isinstance(value, str):
            line[name] = without_secrets(value)
    return line


def _dumps(value: Any, **_: Any) -> str:
    return orjson.dumps(value, default=str).decode()
