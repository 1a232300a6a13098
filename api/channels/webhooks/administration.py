"""What administrators do with webhooks, from GraphQL, the command line and the console."""

from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from api.channels.webhooks.signatures import new_secret
from api.channels.webhooks.targets import Targets
from api.settings import PREFIX, ConfigurationError, Settings
from application.webhooks.registrations import Webhook, Webhooks

DEFAULT_OVERLAP = timedelta(days=1)


def targets_of(settings: Settings) -> Targets:
    """Return where webhooks may go. Raises ConfigurationError."""
    try:
        return Targets.parse(settings.webhook_allow)
    except ValueError as error:
        raise ConfigurationError(f"{PREFIX}WEBHOOK_ALLOW: {error}") from None


class WebhookAdministration:
    """Makes, rotates and deletes webhooks. The caller has checked who asks."""

    def __init__(self, webhooks: Webhooks, targets: Targets) -> None:
        self._webhooks = webhooks
        self._targets = targets

    async def create(
        self,
        name: str,
        url: str,
        *,
        types: Iterable[str] = (),
        workflows: Iterable[str] = (),
        groups: Iterable[str] = (),
        include_payload: bool = False,
        by: str | None = None,
    ) -> tuple[Webhook, str]:
        """Make a webhook. Return it with its secret, which can't be shown again.

        Raises ValueError for a URL or filter that is not possible, and DuplicateWebhookError.
        """
        if problem := self._targets.url_problem(url):
            raise ValueError(problem)
        secret = new_secret()
        made = await self._webhooks.create(
            name,
            url,
            secret,
            types=types,
            workflows=workflows,
            groups=groups,
            include_payload=include_payload,
            by=by,
        )
        return made, secret

    async def rotate(
        self, id_: UUID, *, overlap: timedelta = DEFAULT_OVERLAP, by: str | None = None
    ) -> tuple[Webhook, str]:
        """Give a webhook another secret. Return both; the secret can't be shown again.

        Raises UnknownWebhookError, and ValueError for an overlap of more than 30 days.
        """
        secret = new_secret()
        return await self._webhooks.rotate(id_, secret, overlap=overlap, by=by), secret

    async def delete(self, id_: UUID, by: str | None = None) -> Webhook:
        """Delete a webhook. Raises UnknownWebhookError."""
        return await self._webhooks.delete(id_, by)

    async def all(self) -> list[Webhook]:
        """Return all webhooks, in the order of their creation."""
        return await self._webhooks.all()

    async def named(self, name: str) -> Webhook | None:
        """Return the webhook of this name."""
        return await self._webhooks.named(name)
