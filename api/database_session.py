"""Sessions that don't depend on the settings of a role, a database or the environment."""

import os
from contextlib import AbstractContextManager

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from api.embedded_postgres.environment import hidden

_SETTINGS = {
    # How values are written. The driver reads no other style of dates and intervals.
    "datestyle": "ISO",
    "intervalstyle": "postgres",
    "timezone": "UTC",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    # How statements are read.
    "standard_conforming_strings": "on",
    "backslash_quote": "safe_encoding",
    "array_nulls": "on",
    "transform_null_equals": "off",
    "quote_all_identifiers": "off",
    # What a statement sees, and that a search by a GIN index finds everything.
    "default_transaction_isolation": r"read\ committed",
    "default_transaction_deferrable": "off",
    "gin_fuzzy_search_limit": "0",
    "row_security": "off",
    # Whoever needs a limit sets one. Another would end migrations, audits and idle listeners.
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
}

# libpq sends these to the server with the name of a setting, which then counts instead of ours.
_SETTING_VARIABLES = ("PGDATESTYLE", "PGTZ", "PGGEQO")


def session_conninfo(conninfo: str) -> str:
    """Return a connection string that sets what the server relies on in each session.

    A setting in the string itself or in PGOPTIONS stays if it is none of these. Raises
    psycopg.ProgrammingError for a string that is not valid.
    """
    given = conninfo_to_dict(conninfo).get("options") or os.environ.get("PGOPTIONS", "")
    ours = " ".join(f"-c {name}={value}" for name, value in _SETTINGS.items())
    return make_conninfo(conninfo, options=f"{given} {ours}".strip(), client_encoding="UTF8")


def without_setting_variables() -> AbstractContextManager[None]:
    """Hide the environment variables that would change the settings of a session, for the block."""
    return hidden(lambda name: name in _SETTING_VARIABLES)
