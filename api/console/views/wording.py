"""Words for what the domain names by a constant. They are translated where they are shown."""

import re
from collections.abc import Callable

from api.console.catalogue import N_

TONES = {
    "PENDING": "wait",
    "GRANTED": "yes",
    "REJECTED": "no",
    "EXPIRED": "no",
    "WITHDRAWN": "",
    "CHANGES_REQUESTED": "wait",
    "REVOKED": "no",
    "RUNNING": "accent",
    "WAITING_APPROVAL": "wait",
    "RESUMED": "accent",
    "COMPLETED": "yes",
    "FAILED": "no",
    "CANCELLED": "",
}
"""The colour of a status or state."""

STATES = {
    "PENDING": N_("Waiting"),
    "GRANTED": N_("Approved"),
    "REJECTED": N_("Rejected"),
    "EXPIRED": N_("Expired"),
    "WITHDRAWN": N_("Withdrawn"),
    "CHANGES_REQUESTED": N_("Changes requested"),
    "REVOKED": N_("Revoked"),
    "RUNNING": N_("Running"),
    "WAITING_APPROVAL": N_("Waits for approval"),
    "RESUMED": N_("Resumed"),
    "COMPLETED": N_("Completed"),
    "FAILED": N_("Failed"),
    "CANCELLED": N_("Cancelled"),
}
"""The names of the statuses of approvals and the states of executions."""

ROLES = {
    "OPERATOR": N_("operator"),
    "ENGINE": N_("engine"),
    "APPROVER": N_("approver"),
    "AUDITOR": N_("auditor"),
    "ADMIN": N_("administrator"),
}

CHANNELS = {
    "email": N_("E-mail"),
    "push": N_("Push notifications"),
    "slack": N_("Slack"),
}
"""The channels that this service has; others have the names that an administrator gave them."""

MESSAGES = {
    "OPENED": N_("Approval requested"),
    "STAGE_BEGAN": N_("Approval requested, in a later stage"),
    "REMINDER": N_("Reminder before the deadline"),
    "ESCALATED": N_("Escalated after the deadline"),
    "DELEGATED": N_("Decision delegated"),
    "TOO_FEW_PEOPLE": N_("Too few people who could decide"),
    "CHANGES_REQUESTED": N_("Changes requested"),
    "COMMENTED": N_("New comment"),
    "RESOLVED": N_("Result of an approval"),
    "REVOKED": N_("Approval revoked"),
    "DIGEST": N_("Summary of the day"),
    "EVENT": N_("Event for a program"),
}
"""Why a message is sent, by its kind."""

MESSAGE_STATUSES = {
    "WAITING": N_("Waiting"),
    "SENT": N_("Sent"),
    "SKIPPED": N_("Not needed"),
    "DEAD": N_("Not delivered"),
}
"""Where a message stands, for its recipient."""

MESSAGE_TONES = {"WAITING": "wait", "SENT": "yes", "SKIPPED": "", "DEAD": "no"}
"""The colour of these."""

VERDICTS = {
    "GRANTED": N_("approved"),
    "REJECTED": N_("rejected"),
    "CHANGES_REQUESTED": N_("asked for changes"),
}
"""What a person did, after the person's name."""

VERDICT_NAMES = {
    "GRANTED": N_("Approved"),
    "REJECTED": N_("Rejected"),
    "CHANGES_REQUESTED": N_("Changes requested"),
}
"""The names of verdicts, by themselves."""

MY_VERDICTS = {
    "GRANTED": N_("You approved this."),
    "REJECTED": N_("You rejected this."),
    "CHANGES_REQUESTED": N_("You asked for changes."),
}

REASONS = {
    "the roles do not allow deciding": N_("Your roles do not allow deciding."),
    "four eyes: this person started the execution": N_(
        "Four eyes: you started this, so somebody else decides."
    ),
    "four eyes: the execution was started on behalf of this person": N_(
        "Four eyes: this was started for you, so somebody else decides."
    ),
    "four eyes: this person requested the approval": N_(
        "Four eyes: you asked for this approval, so somebody else decides."
    ),
}
"""Why somebody may not decide, by the domain's reason, in words to this person."""

_HELD = re.compile(r"(?P<rule>.+?)(; (no groups held|groups held: (?P<groups>.+)))?")
PATTERNS = (
    (
        re.compile(r"no requirement names this person or a group of this person"),
        N_("The policy names neither you nor a group of yours."),
    ),
    (
        re.compile(
            r"this person is asked in stage (?P<mine>\d+),"
            r" and stage (?P<now>\d+) is not complete yet"
        ),
        N_("You are asked in stage %(mine)s, and stage %(now)s is not complete yet."),
    ),
    (
        re.compile(
            r"stage (?P<now>\d+) asks other people; this person was asked in an earlier stage"
        ),
        N_("Stage %(now)s asks other people; you were asked in an earlier one."),
    ),
    (
        re.compile(r"this person handed the decision to (?P<whom>.+)"),
        N_("You handed the decision to %(whom)s."),
    ),
    (
        re.compile(r"in the place of (?P<whom>.+), as their substitute: (?P=whom) already decided"),
        N_("You stand in for %(whom)s, who has decided already."),
    ),
    (
        re.compile(
            r"in the place of (?P<whom>.+), as their substitute:"
            r" (?P<who>.+) already decided in the place of (?P=whom)"
        ),
        N_("You stand in for %(whom)s, and %(who)s has decided in that place already."),
    ),
    (
        re.compile(
            r"in the place of (?P<whom>.+), as their substitute:"
            r" (?P=whom) handed the decision to (?P<who>.+)"
        ),
        N_("You stand in for %(whom)s, who handed the decision to %(who)s."),
    ),
    (
        re.compile(r"in the place of (?P<whom>.+), as their substitute: four eyes: .+"),
        N_("Four eyes: you stand in for %(whom)s, who is too close to this request."),
    ),
    (
        re.compile(r"to names the person who delegates: name somebody else"),
        N_("That is you: name somebody else."),
    ),
    (
        re.compile(r"to names (?P<whom>.+), from whom the decision came: take it back instead"),
        N_("The decision came from %(whom)s, so it can't be handed to them."),
    ),
    (
        re.compile(r"the decision was passed on (?P<times>\d+) times, which is the limit"),
        N_("The decision was passed on %(times)s times, which is the limit."),
    ),
    (
        re.compile(r"to names (?P<whom>.+), who has already decided"),
        N_("%(whom)s has decided already."),
    ),
    (
        re.compile(r"to names (?P<whom>.+), who may not decide: four eyes: .+"),
        N_("Four eyes: %(whom)s is too close to this request, so somebody else decides."),
    ),
    (
        re.compile(r".+ is (?P<status>\w+); only a granted approval can be revoked"),
        N_("Only what is approved can be revoked."),
    ),
)


def reason_text(reason: str, text: Callable[..., str]) -> str:
    """Return the domain's reason in words to the reader; as it is if it is not known here."""
    parts = _HELD.fullmatch(reason)
    rule = reason if parts is None else parts["rule"]
    said = _rule_text(rule, text)
    if parts is None or rule == reason:
        return said
    if parts["groups"] is None:
        return said + " " + text("You are in no group.")
    return said + " " + text("Your groups: %(groups)s.", groups=parts["groups"])


def _rule_text(rule: str, text: Callable[..., str]) -> str:
    if rule in REASONS:
        return text(REASONS[rule])
    for pattern, words in PATTERNS:
        if found := pattern.fullmatch(rule):
            return text(words, **found.groupdict())
    return rule
