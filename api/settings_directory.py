"""The settings of the directory."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import BaseSettings


class DirectorySettings(BaseSettings):
    """Part of ``api.settings.Settings``."""

    scim_token: Annotated[
        str | None,
        Field(
            min_length=32,
            repr=False,
            description="Bearer token with which an identity provider keeps the directory up to "
            "date by SCIM at /scim/v2, of 32 characters at least. If it is not set, there is no "
            "SCIM.",
        ),
    ] = None
    scim_person_id: Annotated[
        Literal["userName", "externalId"],
        Field(
            description="Attribute of SCIM users that is the id of the person here. It must be "
            "what is the id in the tokens of the provider."
        ),
    ] = "userName"
    fallback_group: Annotated[
        str | None,
        Field(
            min_length=1,
            description="Group that is told of a request for approval for which the directory "
            "knows fewer people who could decide than are needed.",
        ),
    ] = None
