"""Who a user of Slack is: the one person of the directory to whom their e-mail address belongs.

The address counts only if Slack has verified it, and only for a member of the workspace in which
the app is installed. Everybody else is told why they are nobody here.
"""

from collections.abc import Sequence
from typing import Protocol

from api.slack.client import SlackClient, SlackUser
from application.directory import KnownPerson


class People(Protocol):
    """The directory, as far as it is needed here."""

    async def by_email(self, email: str) -> Sequence[KnownPerson]:
        """Return the active people with an address, without regard to its case."""


class NotKnownError(Exception):
    """A user is nobody who may do something here. The message says why, in words to the user."""


async def person_of(client: SlackClient, people: People, user_id: str, team_id: str) -> KnownPerson:
    """Return the person that a user is. Raises NotKnownError and SlackError.

    ``team_id`` is the workspace from which the user's request came.
    """
    user = await client.user(user_id)
    team = await client.team()
    if team_id != team:
        raise NotKnownError(_ELSEWHERE)
    check_user(user, team)
    return await owner_of(people, user.email)


async def owner_of(people: People, email: str) -> KnownPerson:
    """Return the one active person with an e-mail address. Raises NotKnownError."""
    found = await people.by_email(email)
    if not found:
        msg = (
            f"Placet knows nobody with your e-mail address {email}. Sign in to Placet once, or "
            "ask an administrator to add the address."
        )
        raise NotKnownError(msg)
    if len(found) > 1:
        msg = (
            f"{len(found)} people in Placet have your e-mail address {email}, so it is not clear "
            "who you are. Ask an administrator to correct that. You can decide in Placet itself."
        )
        raise NotKnownError(msg)
    return found[0]


_ELSEWHERE = "Only members of the workspace that Placet belongs to can decide here."


def check_user(user: SlackUser, team: str) -> None:
    """Raise NotKnownError if the address of a user says nothing about who they are."""
    if not user.active:
        raise NotKnownError("Your Slack account is deactivated.")
    if user.bot:
        raise NotKnownError("Apps can't decide.")
    if user.guest or user.team_id != team:
        raise NotKnownError(_ELSEWHERE)
    if not user.email:
        raise NotKnownError("Slack does not tell Placet your e-mail address, so it can't know you.")
    if not user.email_confirmed:
        msg = "Your e-mail address in Slack is not confirmed. Confirm it, then try again."
        raise NotKnownError(msg)
