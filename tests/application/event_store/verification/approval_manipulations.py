"""What somebody can do to decisions and amendments, and what the audit says then."""

from datetime import UTC, datetime

from domain.approvals.deadline_times import DeadlineTimes
from domain.approvals.events import (
    AmendmentContent,
    ApprovalAmended,
    ApprovalExpired,
    ApprovalRedeemed,
    DecisionContent,
    RequestContent,
)
from domain.approvals.policy import ExpiryAction
from domain.execution.events import (
    Cancelled,
)
from domain.serialization.canonical_json import canonical, digest
from tests.application.event_store.verification.manipulation import (
    OTHER,
    actor,
    anew,
)
from tests.application.event_store.verification.rewriting import (
    alter,
    append,
    drop,
    in_older_shape,
    record,
)
from tests.domain.ask import needs, policy

TO_100 = [{"op": "replace", "path": "/cost", "value": 100}]

DECISIONS = (
    anew(
        "the payload is changed, with new hashes",
        "permit",
        alter(4, content=RequestContent(title="Trip", payload=OTHER)),
        kind="decision",
        said="the payload does not match its digest",
    ),
    anew(
        "the title is changed, with new hashes",
        "permit",
        alter(4, content=RequestContent(title="A trip", payload={"cost": 120})),
        kind="decision",
        said="the document does not match its digest",
    ),
    anew(
        "the policy is weakened, with new hashes",
        "permit",
        alter(4, policy=policy(needs("finance"))),
        kind="decision",
        said="the document does not match its digest",
    ),
    anew(
        "the policy asks for nobody, with new hashes",
        "permit",
        alter(4, policy=policy(needs(count=0))),
        kind="decision",
        said="asks for nobody",
    ),
    anew(
        "an answer is changed, with new hashes",
        "waiting",
        alter(5, content=DecisionContent(answers={"risk": "none"})),
        kind="decision",
        said="answers/risk must be one of low, high",
    ),
    anew(
        "the answers are taken away, with new hashes",
        "waiting",
        alter(5, content=DecisionContent()),
        kind="decision",
        said="does not answer it",
    ),
    anew(
        "answers are added that nobody asked for, with new hashes",
        "permit",
        alter(5, content=DecisionContent(answers={"risk": "low"})),
        kind="decision",
        said="none were asked for",
    ),
    anew(
        "the form is changed, with new hashes",
        "waiting",
        alter(4, content=RequestContent(title="Trip", payload={"cost": 120}, form={"$ref": "x"})),
        kind="decision",
        said="form.$ref must be a reference within the schema",
    ),
    anew(
        "a decision names another document, with new hashes",
        "permit",
        alter(5, digest="sha256:" + "0" * 64),
        kind="decision",
        said="names another document",
    ),
    anew(
        "the policy asks for a login that nobody had, with new hashes",
        "permit",
        alter(4, policy=policy(acr_values=("phr",))),
        kind="decision",
        said="the policy asks for a login with one of the strengths phr",
    ),
    anew(
        "a login is made up, with new hashes",
        "permit",
        alter(5, acr="phr"),
        kind="decision",
        said="it records a login, but the policy asks for none",
    ),
    anew(
        "the initiator decides, with new hashes",
        "permit",
        record(5, actor=actor("olivia")),
        kind="decision",
        said="this person started the execution",
    ),
    anew(
        "the initiator decides under a name of another case, with new hashes",
        "permit",
        record(5, actor=actor("OLIVIA")),
        kind="decision",
        said="this person started the execution",
    ),
    anew(
        "the beneficiary decides, with new hashes",
        "permit",
        record(5, actor=actor("tom")),
        kind="decision",
        said="started on behalf of this person",
    ),
    anew(
        "the requester decides, with new hashes",
        "permit",
        record(5, actor=actor("engine")),
        kind="decision",
        said="this person requested the approval",
    ),
    anew(
        "somebody decides by a group that the policy does not name, with new hashes",
        "permit",
        alter(5, groups=("gardeners",), rule="group:gardeners"),
        kind="decision",
        said="no requirement names this person",
    ),
    anew(
        "a decision says that some groups are not recorded, with new hashes",
        "permit",
        alter(5, all_groups_known=False),
        kind="decision",
        said="only some of the person's groups",
    ),
    anew(
        "a decision of the first version counts a further group, with new hashes",
        "permit",
        in_older_shape(5, groups=("finance", "gardeners")),
        kind="decision",
        said="of which the policy names ('finance',)",
    ),
    anew(
        "a decision gives another reason, with new hashes",
        "permit",
        alter(5, rule="user:ann"),
        kind="decision",
        said="makes 'ann' eligible",
    ),
    anew(
        "one person decides twice, with new hashes",
        "permit",
        record(6, actor=actor("ann")),
        record(7, actor=actor("ann")),
        kind="decision",
        said="decided already",
    ),
    anew(
        "the first of two decisions resolves, with new hashes",
        "waiting",
        alter(5, resolves=True),
        kind="decision",
        said="but the policy asks for more",
    ),
    anew(
        "the last decision does not resolve, with new hashes",
        "permit",
        alter(6, resolves=False),
        kind="decision",
        said="but the policy asks for no more",
    ),
    anew(
        "a decision is removed, with new hashes",
        "permit",
        drop(5),
        kind="decision",
        said="but the policy asks for more",
    ),
    anew(
        "a rejection leaves the approval pending, with new hashes",
        "retried",
        alter(4, resolves=False),
        kind="decision",
        said="but the policy asks for no more",
    ),
    anew(
        "the event Resumed is removed at the end, with new hashes",
        "permit",
        lambda events: events[:6],
        kind="decision",
        said="does not resume",
    ),
    anew(
        "the event Resumed is removed in between, with new hashes",
        "permit",
        drop(7),
        kind="decision",
        said="did not resume",
    ),
    anew(
        "an approval expires in favour of the request, with new hashes",
        "waiting",
        append(ApprovalExpired(ordinal=1, action=ExpiryAction.GRANT)),
        kind="decision",
        said="its deadline is None",
    ),
    anew(
        "the deadline after an escalation is removed, with new hashes",
        "timed",
        alter(2, after_escalation=None),
        kind="decision",
        said="its times after an escalation are not those",
    ),
    anew(
        "the deadline after an escalation comes too early, with new hashes",
        "timed",
        alter(2, after_escalation=DeadlineTimes(deadline=datetime(2026, 1, 1, tzinfo=UTC))),
        kind="decision",
        said="after an escalation, the deadline is",
    ),
    anew(
        "a reminder comes after the time for it, with new hashes",
        "timed",
        alter(2, reminders=(datetime(2126, 1, 1, tzinfo=UTC),)),
        kind="decision",
        said="are not those of the policy",
    ),
    anew(
        "an execution ends and leaves an approval pending, with new hashes",
        "waiting",
        append(Cancelled()),
        kind="decision",
        said="ends with 1 approvals pending",
    ),
    anew(
        "another payload is redeemed, with new hashes",
        "permit",
        alter(8, payload_digest=digest(canonical(OTHER))),
        kind="decision",
        said="not the granted one",
    ),
    anew(
        "an approval that was not granted is redeemed, with new hashes",
        "waiting",
        append(ApprovalRedeemed(ordinal=1, payload_digest="sha256:0", redemption_key="x")),
        kind="event",
        said="is PENDING, not GRANTED",
    ),
    anew(
        "a round is left out, with new hashes",
        "retried",
        alter(8, round=3),
        kind="decision",
        said="it is round 3",
    ),
    anew(
        "a question is asked again without a retry, with new hashes",
        "cancelled",
        alter(3, key="one", round=2),
        kind="decision",
        said="is asked for again",
    ),
    anew(
        "a fence is left out, with new hashes",
        "permit",
        alter(2, fence=2),
        kind="claim",
        said="the fence is 2 after 0",
    ),
)

AMENDMENTS = (
    anew(
        "an amendment shows another change, with new hashes",
        "amended",
        alter(4, content=AmendmentContent(payload={"cost": 90}, patch=TO_100)),
        kind="amendment",
        said="the patch does not lead from the payload before to the one after",
    ),
    anew(
        "an amendment shows a change that is no patch, with new hashes",
        "amended",
        alter(4, content=AmendmentContent(payload={"cost": 90}, patch="cheaper")),
        kind="amendment",
        said="the patch does not lead",
    ),
    anew(
        "what was amended is changed, with new hashes",
        "amended",
        alter(4, content=AmendmentContent(payload={"cost": 100}, patch=TO_100)),
        kind="amendment",
        said="the payload does not match its digest",
    ),
    anew(
        "what was amended and its digest are changed, with new hashes",
        "amended",
        alter(
            4,
            content=AmendmentContent(payload={"cost": 100}, patch=TO_100),
            payload_digest=digest(canonical({"cost": 100})),
        ),
        kind="amendment",
        said="the document does not match its digest",
    ),
    anew(
        "an amendment is of another document, with new hashes",
        "amended",
        alter(4, seen_digest="sha256:other"),
        kind="amendment",
        said="another document than the one that stood",
    ),
    anew(
        "an amendment is of somebody else, with new hashes",
        "amended",
        record(4, actor=actor("ann")),
        kind="amendment",
        said="comes without a grant",
    ),
    anew(
        "the grant of an amendment is removed, with new hashes",
        "amended",
        drop(5),
        kind="amendment",
        said="nobody grants it",
    ),
    anew(
        "an amendment is removed, with new hashes",
        "amended",
        drop(4),
        kind="decision",
        said="names another document",
    ),
    anew(
        "a payload is amended that may not be, with new hashes",
        "waiting",
        append(
            ApprovalAmended(
                ordinal=1, seen_digest="sha256:s", digest="sha256:d", payload_digest="sha256:p"
            )
        ),
        kind="amendment",
        said="the payload is amended",
    ),
)
