"""The configuration: options of ``up``, or environment variables ``PLACET_*``. It is read once."""

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict
from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import SettingsConfigDict, SettingsError

from api.settings_directory import DirectorySettings
from api.settings_mail import MailSettings
from api.settings_slack import SlackSettings

PREFIX = "PLACET_"
# RFC 6454, section 6.2, as browsers write it: in lower case and without a path.
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([a-z0-9.-]+|\[[0-9a-f:.]+\])(:[0-9]+)?")

Mode = Literal["development", "production"]
LogLevel = Literal["debug", "info", "warning", "error"]


class ConfigurationError(Exception):
    """The configuration is wrong. The message names each variable and says what to do."""


class Settings(MailSettings, SlackSettings, DirectorySettings):
    """The configuration of one server process. Make it with :meth:`read`."""

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
            description="Connection string of PostgreSQL 15 or newer. If it is not set, the server "
            "starts an embedded PostgreSQL in the data directory.",
        ),
    ] = None
    mode: Annotated[
        Mode | None,
        Field(
            description="development or production. Development has made-up tokens and GraphiQL. "
            "It is the default with the embedded database and a loopback address; otherwise the "
            "mode must be set."
        ),
    ] = None
    data: Annotated[
        Path,
        Field(description="Directory of the embedded database and the development tokens."),
    ] = Path(".placet")
    host: Annotated[str, Field(min_length=1, description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[
        int, Field(ge=0, le=65_535, description="Port to listen on; 0 chooses a free one.")
    ] = 8000
    allowed_origins: Annotated[
        str,
        Field(
            description="Origins of web pages that may use the API from a browser (CORS), such as "
            "https://app.example.com, separated by commas; * for all. If it is not set, none may."
        ),
    ] = ""
    metrics_port: Annotated[
        int | None,
        Field(
            ge=1,
            le=65_535,
            description="Port for /metrics alone. If it is not set, /metrics is on PLACET_PORT.",
        ),
    ] = None
    metrics_token: Annotated[
        str | None,
        Field(
            min_length=1,
            repr=False,
            description="Bearer token that /metrics asks for. If it is not set, everybody who "
            "reaches the server can read the metrics.",
        ),
    ] = None
    log_level: Annotated[LogLevel, Field(description="Lowest level that is logged.")] = "info"
    max_queue: Annotated[
        int,
        Field(
            ge=1,
            description="Maximum number of waiting commands; others are refused as OVERLOADED.",
        ),
    ] = 4096
    batch_max: Annotated[
        int, Field(ge=1, le=4096, description="Maximum number of commands in one transaction.")
    ] = 256
    lock_timeout: Annotated[
        int, Field(ge=1, description="Seconds to wait for the lock of the log.")
    ] = 5
    idle_in_transaction_timeout: Annotated[
        int,
        Field(
            ge=1,
            description="Seconds after which PostgreSQL ends an idle transaction. A stopped server "
            "process holds the lock of the log for at most this long.",
        ),
    ] = 3
    pool_min: Annotated[
        int, Field(ge=1, description="Minimum number of database connections for queries.")
    ] = 2
    pool_max: Annotated[
        int,
        Field(
            ge=1,
            description="Maximum number of database connections for queries and subscriptions. One "
            "client gets at most half of them at a time.",
        ),
    ] = 8
    worker_pool_max: Annotated[
        int,
        Field(
            ge=1,
            description="Maximum number of database connections for what workers and deciders "
            "need: tokens, claims, heartbeats, timers. Queries can't take them.",
        ),
    ] = 4
    max_body_bytes: Annotated[
        int, Field(ge=1024, description="Maximum size of a request's body, in bytes.")
    ] = 1024 * 1024
    max_connections: Annotated[
        int,
        Field(
            ge=16,
            description="Maximum number of open connections. If there are more, the server closes "
            "the one that has sent nothing complete for longest. The limit on file descriptors may "
            "make it less.",
        ),
    ] = 2_000
    max_followers: Annotated[
        int,
        Field(
            ge=1,
            description="Maximum number of subscriptions of one client to all events or approvals.",
        ),
    ] = 50
    header_timeout: Annotated[
        float,
        Field(gt=0, description="Seconds that a client has for the headers of a request."),
    ] = 10.0
    body_timeout: Annotated[
        float,
        Field(
            gt=0,
            description="Seconds that a client has for the body of a request, or for a message on "
            "a WebSocket.",
        ),
    ] = 30.0
    drain: Annotated[
        float,
        Field(ge=0, description="Seconds to finish open requests when the server shuts down."),
    ] = 10.0
    clean_up_timeout: Annotated[
        float,
        Field(
            gt=0,
            description="Seconds that a workflow may take to clean up after it is cancelled. Then "
            "the server ends the execution.",
        ),
    ] = 30.0
    calendars: Annotated[
        Path | None,
        Field(
            description="TOML file with the calendars whose working time policies can count "
            "deadlines in. It is read once."
        ),
    ] = None
    issuers: Annotated[
        Path | None,
        Field(
            description="TOML file with the OpenID Connect providers whose tokens are taken. It is "
            "read once."
        ),
    ] = None
    poll_interval: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            description="Maximum seconds between two reads of the log if no notification comes.",
        ),
    ] = 1.0
    max_lag: Annotated[
        int | None,
        Field(
            ge=1,
            description="Seconds that a read model may lack an event of the log before /readyz "
            "answers 503. If it is not set, /readyz mentions it and stays ready.",
        ),
    ] = None
    session_lifetime: Annotated[
        int,
        Field(ge=60, description="Seconds after which a session of the console ends in any case."),
    ] = 12 * 3600
    session_idle: Annotated[
        int,
        Field(ge=60, description="Seconds without a request after which it ends before."),
    ] = 3600
    fast_path: Annotated[
        bool,
        Field(
            description="Whether GraphQL operations are called and answered by plans that are "
            "made once for each document. Without it graphql-core does all of that: slower, with "
            "the same answers."
        ),
    ] = True

    @classmethod
    def read(cls, **options: object) -> Self:
        """Read the environment. An option that is not None overrides its variable.

        Raises ConfigurationError, which names every variable with a wrong value.
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
        """Whether only programs on this machine can reach the server."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    def resolved_mode(self) -> Mode:
        """Return the mode that is set; otherwise development, if that is safe.

        Raises ConfigurationError if the mode must be set.
        """
        if self.mode is not None:
            return self.mode
        if self.database_url is None and self.loopback:
            return "development"
        because = (
            f"other machines may reach the server on {self.host}"
            if self.database_url is None
            else f"{PREFIX}DATABASE_URL is set"
        )
        raise ConfigurationError(
            f"set {PREFIX}MODE, because {because}: to production, or to development, which has "
            "made-up tokens in a file in the data directory"
        )

    @property
    def base_url(self) -> str:
        """The address with which links in messages begin, without a slash at its end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.public_url or f"http://{host}:{self.port}"

    @property
    def origins(self) -> tuple[str, ...]:
        """The origins in ``allowed_origins``."""
        return tuple(filter(None, (part.strip() for part in self.allowed_origins.split(","))))

    @model_validator(mode="after")
    def _are_origins(self) -> Self:
        for origin in self.origins:
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                raise ValueError(
                    f"{PREFIX}ALLOWED_ORIGINS: {origin!r} is not an origin; write it as browsers "
                    "send it, such as https://app.example.com or http://localhost:3000"
                )
        return self

    @field_validator("database_url")
    @classmethod
    def _is_connection_string(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                conninfo_to_dict(value)
            except ProgrammingError:
                raise ValueError(
                    "not a connection string of PostgreSQL; write "
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

    @model_validator(mode="after")
    def _metrics_have_another_port(self) -> Self:
        if self.metrics_port is not None and self.metrics_port == self.port:
            raise ValueError(
                f"{PREFIX}METRICS_PORT and {PREFIX}PORT are both {self.port}; set another one, or "
                f"leave {PREFIX}METRICS_PORT out"
            )
        return self


def describe() -> str:
    """Return a paragraph for each variable: its name, default and meaning."""
    lines = []
    # Those of the parts come last.
    fields = sorted(
        Settings.model_fields.items(), key=lambda each: each[0] not in Settings.__annotations__
    )
    for name, field in fields:
        default = "not set" if field.default in {None, ""} else field.default
        lines.append(f"{PREFIX}{name.upper()} (default: {default})\n    {field.description}")
    return "\n".join(lines)


def _explain(error: ValidationError) -> str:
    lines = []
    for problem in error.errors(include_url=False, include_input=False):
        where = "".join(f"{PREFIX}{part}".upper() + ": " for part in problem["loc"][:1])
        lines.append(where + problem["msg"].removeprefix("Value error, "))
    return "\n".join(lines)
