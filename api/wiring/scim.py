"""Builds SCIM, if it is configured."""

from collections.abc import Mapping

from psycopg_pool import AsyncConnectionPool
from starlette.types import ASGIApp

from api.settings import Settings
from application.directory import Directory


def scim_mounts(
    settings: Settings, pool: AsyncConnectionPool, directory: Directory
) -> Mapping[str, ASGIApp]:
    """Return the application of SCIM by its path; nothing without a token for it."""
    if settings.scim_token is None:
        return {}
    # Imported here because the models of SCIM take longer to build than all else here.
    from api.scim.app import scim_app  # noqa: PLC0415
    from api.scim.resources import BASE  # noqa: PLC0415

    app = scim_app(
        pool,
        directory,
        token=settings.scim_token,
        person_id=settings.scim_person_id,
        public_url=settings.public_url,
        max_body_bytes=settings.max_body_bytes,
    )
    return {BASE: app}
