"""What people do in Slack: a click on a card, or a window that is sent.

A decision is the ordinary command, by the person that the user is, with the digest of what the card
showed. Its key comes from the click or the window, so the same request, sent again by Slack, is a
repeat. Slack is answered within ``ANSWER_SECONDS``. Who may not do what they tried is told so
where nobody else sees it.
"""

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any, NamedTuple

import msgspec
import psycopg
import structlog
from prometheus_client import Counter
from psycopg_pool import PoolTimeout

from api.slack import modal
from api.slack.card import GRANT, REJECT, REQUEST_CHANGES, Decidable
from api.slack.client import Posted, SlackClient, SlackError
from api.slack.deciding import Deciding, NotRecordedError, check_before
from api.slack.identity import NotKnownError
from api.slack.modal import Asked
from api.slack.posted_cards import PostedCards
from application.background_tasks import stop
from application.command_handling.outcomes import UnavailableError
from domain.approvals.state import Verdict
from domain.values import Principal

_log = structlog.get_logger(__name__)

ANSWER_SECONDS = 2.0
"""Slack shows an error after three."""
MAX_KEY = 150

INTERACTIONS = Counter("placet_slack_interactions", "Requests of Slack's users", ["outcome"])

VERDICTS = {
    GRANT: Verdict.GRANTED,
    REJECT: Verdict.REJECTED,
    REQUEST_CHANGES: Verdict.CHANGES_REQUESTED,
}
UNAVAILABLE = "Placet can't reach its database. Nothing was recorded, try again."
FAULT = "Something went wrong in Placet. Look at the request again before you repeat this."
BEING_RECORDED = "Your decision is being recorded. This takes longer than usual."
RECORDED = "Your decision is recorded."

# Reads fail so before a command is sent, and the writer if it has recorded nothing.
_AWAY = (psycopg.Error, PoolTimeout, UnavailableError)

Answer = dict[str, Any]
Payload = Mapping[str, Any]


class _Click(NamedTuple):
    """A click on a button of a card."""

    user: str
    team: str
    posted: Posted
    trigger: str
    verdict: Verdict
    decidable: Decidable
    key: str


class Interactions:
    """Does what the requests of Slack's users say."""

    def __init__(self, client: SlackClient, deciding: Deciding, cards: PostedCards) -> None:
        self._client = client
        self._deciding = deciding
        self._cards = cards
        self._tasks: set[asyncio.Task[Any]] = set()

    async def close(self) -> None:
        """End what is still going on."""
        await stop(self._tasks)

    async def receive(self, payload: Payload) -> Answer:
        """Return the answer to a request, within ANSWER_SECONDS. What takes longer goes on."""
        match payload.get("type"):
            case "block_actions":
                await self._begin(self._clicked(payload))
                return {}
            case "view_submission" if _view(payload).get("callback_id") == modal.CALLBACK:
                return await self._sent(payload)
            case _:
                return {}

    async def _begin(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Start to work, and return when that is done or takes too long to wait for."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await asyncio.wait([task], timeout=ANSWER_SECONDS)
        return task

    async def _clicked(self, payload: Payload) -> None:
        click = _click(payload)
        if click is None:
            return
        try:
            await self._decide_or_ask(click)
            INTERACTIONS.labels("done").inc()
        except (NotKnownError, NotRecordedError) as refusal:
            INTERACTIONS.labels("refused").inc()
            await self._whisper(click, str(refusal))
            await self._cards.compare_again(click.posted)
        except SlackError as error:
            INTERACTIONS.labels("failed").inc()
            _log.warning("slack_call_failed", error=str(error))
            await self._whisper(click, FAULT)
        except _AWAY:
            INTERACTIONS.labels("failed").inc()
            await self._whisper(click, UNAVAILABLE)
        except Exception:  # noqa: BLE001 - reported, and said to the user
            INTERACTIONS.labels("failed").inc()
            _log.exception("slack_click_failed", approval=click.decidable.approval)
            await self._whisper(click, FAULT)

    async def _decide_or_ask(self, click: _Click) -> None:
        person = await self._deciding.who(click.user, click.team)
        await self._adopt(click, person)
        execution, approval = await self._deciding.found(person, click.decidable)
        if modal.needs_window(approval, click.verdict):
            check_before(person, execution, approval, click.decidable)
            asked = Asked(str(approval.id), click.decidable.digest, click.verdict)
            await self._client.open_window(click.trigger, modal.window(approval, asked))
            return
        await self._deciding.decide(person, click.decidable, click.verdict, key=click.key)

    async def _adopt(self, click: _Click, person: Principal) -> None:
        """Have the card follow the log, also if it was posted and then not remembered."""
        approval_id = click.decidable.approval_id
        if approval_id is not None:
            # The channel of a direct message begins with D: the card is that of this person.
            recipient = person.id if click.posted.channel.startswith("D") else None
            await self._cards.adopt(click.posted, approval_id, recipient)

    async def _whisper(self, click: _Click, text: str) -> None:
        try:
            await self._client.whisper(click.posted.channel, click.user, text)
        except SlackError as error:
            _log.warning("slack_whisper_failed", error=str(error))

    async def _sent(self, payload: Payload) -> Answer:
        """Return the answer to a window that was sent. Without one, the window closes."""
        task = await self._begin(self._outcome(payload))
        if task.done():
            answer: Answer = task.result()
            return answer
        view_id = str(_view(payload).get("id", ""))
        await self._begin_following_up(task, view_id)
        return {"response_action": "update", "view": modal.told("One moment", BEING_RECORDED)}

    async def _begin_following_up(self, task: asyncio.Task[Any], view_id: str) -> None:
        following = asyncio.create_task(self._follow_up(task, view_id))
        self._tasks.add(following)
        following.add_done_callback(self._tasks.discard)

    async def _follow_up(self, task: asyncio.Task[Answer], view_id: str) -> None:
        """Show in the window what became of the decision, after Slack was answered."""
        answer = await task
        view = answer.get("view") or modal.told("Recorded", RECORDED)
        if "errors" in answer:
            view = modal.told("Not recorded", " ".join(answer["errors"].values()))
        try:
            await self._client.update_window(view_id, view)
        except SlackError as error:
            _log.warning("slack_window_failed", error=str(error))

    async def _outcome(self, payload: Payload) -> Answer:
        try:
            return await self._decide_by_window(payload)
        except (NotKnownError, NotRecordedError) as refusal:
            INTERACTIONS.labels("refused").inc()
            if isinstance(refusal, NotRecordedError) and refusal.fields:
                return {"response_action": "errors", "errors": dict(refusal.fields)}
            return _told(str(refusal))
        except SlackError as error:
            INTERACTIONS.labels("failed").inc()
            _log.warning("slack_call_failed", error=str(error))
            return _told(FAULT)
        except _AWAY:
            INTERACTIONS.labels("failed").inc()
            return _told(UNAVAILABLE)
        except Exception:  # noqa: BLE001 - reported, and said to the user
            INTERACTIONS.labels("failed").inc()
            _log.exception("slack_window_failed")
            return _told(FAULT)

    async def _decide_by_window(self, payload: Payload) -> Answer:
        view = _view(payload)
        asked = msgspec.json.decode(str(view.get("private_metadata", "")), type=Asked)
        values = view.get("state", {}).get("values", {})
        decidable = Decidable(asked.approval, asked.digest)
        user = payload.get("user", {})
        person = await self._deciding.who(str(user.get("id", "")), _team(payload))
        _, approval = await self._deciding.found(person, decidable)
        answers = None
        if asked.verdict is Verdict.GRANTED and approval.form is not None:
            answers = modal.answers_in(values, approval.form)
        await self._deciding.decide(
            person,
            decidable,
            asked.verdict,
            key=_key(view.get("id", "")),
            comment=modal.comment_in(values),
            answers=answers,
            form=approval.form,
        )
        INTERACTIONS.labels("done").inc()
        return {}


def _told(text: str) -> Answer:
    return {"response_action": "update", "view": modal.told("Not recorded", text)}


def _key(id_: object) -> str:
    return f"slack-{id_}"[:MAX_KEY]


def _view(payload: Payload) -> Mapping[str, Any]:
    view = payload.get("view")
    return view if isinstance(view, Mapping) else {}


def _team(payload: Payload) -> str:
    """Return the workspace of the user. A click in a shared channel can come from another."""
    user = payload.get("user") or {}
    return str(user.get("team_id") or (payload.get("team") or {}).get("id") or "")


def _click(payload: Payload) -> _Click | None:
    """Return the click, None if it was on something that the browser alone opens."""
    [action, *_] = payload.get("actions") or [{}]
    verdict = VERDICTS.get(action.get("action_id", ""))
    if verdict is None:
        return None
    container = payload.get("container") or {}
    try:
        decidable = msgspec.json.decode(str(action.get("value", "")), type=Decidable)
    except msgspec.MsgspecError:
        return None
    return _Click(
        user=str((payload.get("user") or {}).get("id", "")),
        team=_team(payload),
        posted=Posted(str(container.get("channel_id", "")), str(container.get("message_ts", ""))),
        trigger=str(payload.get("trigger_id", "")),
        verdict=verdict,
        decidable=decidable,
        key=_key(f"{container.get('message_ts', '')}-{action.get('action_ts', '')}"),
    )
