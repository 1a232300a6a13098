"""What can be configured: options of ``up``, else environment variables ``PLACET_*``, read once."""

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict
from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

PREFIX = "PLACET_"

Mode = Literal["development", "production"]
LogLevel = Literal["debug", "info", "warning", "error"]


class ConfigurationError(Exception):
    """The configuration can't be used; the message names each variable and says what to do."""


class Settings(BaseSettings):
    """The configuration of one server process. Use :meth:`read` to make one."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        # An error must not show the password in a connection string.
        hide_input_in_errors=True,
    )

    database_url: Annotated[
        str | None,
        Field(
            repr=False,
            description="Connection string of a PostgreSQL 15 or newer. Without one, an embedded "
            "PostgreSQL is started under the data directory.",
        ),
    ] = None
    mode: Annotated[
        Mode | None,
        Field(
            description="development (with tokens that it makes up, and GraphiQL) or production. "
            "Development is the default only with the embedded database and a loopback address; "
            "otherwise it must be said."
        ),
    ] = None
    data: Annotated[
        Path,
        Field(description="Directory of the embedded database and of the development tokens."),
    ] = Path(".placet")
    host: Annotated[str, Field(min_length=1, description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[
        int, Field(ge=0, le=65_535, description="Port to listen on; 0 takes a free one.")
    ] = 8000
    log_level: Annotated[LogLevel, Field(description="The least level that is logged.")] = "info"
    max_queue: Annotated[
        int,
        Field(ge=1, description="Commands that may wait for the writer; more are OVERLOADED."),
    ] = 4096
    batch_max: Annotated[
        int, Field(ge=1, le=4096, description="Commands in one transaction, at most.")
    ] = 256
    lock_timeout: Annotated[
        int, Field(ge=1, description="Seconds to wait for the lock of the log.")
    ] = 5
    idle_in_transaction_timeout: Annotated[
        int,
        Field(
            ge=1,
            description="Seconds after which PostgreSQL ends a transaction whose process is "
            "silent; the longest that a stopped process holds the log.",
        ),
    ] = 3
    pool_min: Annotated[
        int, Field(ge=1, description="Connections for reading that are kept open.")
    ] = 2
    pool_max: Annotated[int, Field(ge=1, description="Connections for reading, at most.")] = 8
    max_body_bytes: Annotated[
        int, Field(ge=1024, description="Bytes of a request's body, at most.")
    ] = 1024 * 1024
    drain: Annotated[
        float,
        Field(ge=0, description="Seconds that open requests are given when the server ends."),
    ] = 10.0
    poll_interval: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            description="Seconds after which the log is read without a notification, at the "
            "latest.",
        ),
    ] = 1.0

    @classmethod
    def read(cls, **options: object) -> Self:
        """Read the environment; an option that is not None goes before its variable.

        Raises ConfigurationError, which names every variable whose value is wrong.
        """
        given = {name: value for name, value in options.items() if value is not None}
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            raise ConfigurationError(_explain(error)) from None
        except SettingsError as error:
            raise ConfigurationError(str(error)) from None

    @property
    def loopback(self) -> bool:
        """Whether only programs of this machine reach the server."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    def resolved_mode(self) -> Mode:
        """Give the mode that was said, or else development, where that is safe.

        Raises ConfigurationError if the mode has to be said.
        """
        if self.mode is not None:
            return self.mode
        if self.database_url is None and self.loopback:
            return "development"
        because = (
            f"the server listens on {self.host}, which other machines may reach"
            if self.database_url is None
            else f"{PREFIX}DATABASE_URL names a database of its own"
        )
        raise ConfigurationError(
            f"{PREFIX}MODE must be said, because {because}: production, or development, whose "
            "made-up tokens are kept in a file of the data directory"
        )

    @field_validator("database_url")
    @classmethod
    def _is_connection_string(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                conninfo_to_dict(value)
            except ProgrammingError:
                raise ValueError(
                    "not a connection string of PostgreSQL; it looks like "
                    "postgresql://user:password@host:5432/database"
                ) from None
        return value

    @model_validator(mode="after")
    def _pool_has_room(self) -> Self:
        if self.pool_max < self.pool_min:
            raise ValueError(
                f"{PREFIX}POOL_MAX ({self.pool_max}) is less than {PREFIX}POOL_MIN "
                f"({self.pool_min})"
            )
        return self


def describe() -> str:
    """List every variable with its default and what it means, one paragraph each."""
    lines = []
    for name, field in Settings.model_fields.items():
        default = "not set" if field.default is None else field.default
        lines.append(f"{PREFIX}{name.upper()} (default: {default})\n    {field.description}")
    return "\n".join(lines)


def _explain(error: ValidationError) -> str:
    lines = []
    for problem in error.errors(include_url=False, include_input=False):
        where = "".join(f"{PREFIX}{part}".upper() + ": " for part in problem["loc"][:1])
        lines.append(where + problem["msg"].removeprefix("Value error, "))
    return "\n".join(lines)
