"""The exceptions of the client, the engine and the integrations."""

# The names are those of the contract and of the design, and read as what happened.
# ruff: noqa: N818

from typing import Any, ClassVar

from placet.models.enums import Verdict
from placet.models.responses import Approval, ApprovalRecord, ExecutionHead, RefusedResult
from placet.models.rules import RETRIABLE_REFUSALS


class PlacetError(Exception):
    """Base of all errors of this package."""


class RequestError(PlacetError):
    """The request was not carried out. ``code`` is the ``extensions.code`` of the answer."""

    code: ClassVar[str] = "INTERNAL"


class Unauthenticated(RequestError):
    """No valid token: unknown, expired or revoked."""

    code = "UNAUTHENTICATED"


class Forbidden(RequestError):
    """The token's roles do not allow this query or subscription."""

    code = "FORBIDDEN"


class NoSuchObject(RequestError):
    """A subscription to something that is not there, or not the caller's to see."""

    code = "NOT_FOUND"


class BadRequest(RequestError):
    """Malformed, or not valid against the schema."""

    code = "BAD_REQUEST"


class LimitExceeded(RequestError):
    """Too large, too deep, or too much at once."""

    code = "LIMIT_EXCEEDED"


class PositionUnknown(RequestError):
    """The log does not have the position, or does not have it any more; begin anew."""

    code = "POSITION_UNKNOWN"


class ReadModelBehind(RequestError):
    """The read model did not reach the requested position in time; try again."""

    code = "READ_MODEL_BEHIND"


class Overloaded(RequestError):
    """The service is overloaded; try again later."""

    code = "OVERLOADED"


class Unavailable(RequestError):
    """The service or its database can't be reached. The request may have been carried out."""

    code = "UNAVAILABLE"


class Internal(RequestError):
    """A fault of the service. Its log has details under the id in the message."""

    code = "INTERNAL"


REQUEST_ERRORS: dict[str, type[RequestError]] = {
    error.code: error
    for error in (
        Unauthenticated,
        Forbidden,
        NoSuchObject,
        BadRequest,
        LimitExceeded,
        PositionUnknown,
        ReadModelBehind,
        Overloaded,
        Unavailable,
        Internal,
    )
}


class Refused(PlacetError):
    """The domain refused a command.

    ``code`` is the contract's RefusalCode. ``execution`` and ``approval`` are their present state,
    if the caller may see them: after a lost race it shows who decided.
    """

    def __init__(
        self,
        code: str,
        message: str,
        execution: ExecutionHead | None = None,
        approval: Approval | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.execution = execution
        self.approval = approval

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.code, self.message, self.execution, self.approval)


class NotFound(Refused):
    """There is no such execution or approval that the caller may see."""


class NotEligible(Refused):
    """The caller may not decide this approval."""


class AlreadyDecided(Refused):
    """The approval is resolved, or the caller has decided otherwise."""


class AlreadyRedeemed(Refused):
    """The approval was used under another key."""


class DigestMismatch(Refused):
    """The digest is not that of the present document or payload."""


class KeyReused(Refused):
    """The key was used before, with other content."""


class Fenced(Refused):
    """The execution is held by another worker now."""


class VersionConflict(Refused):
    """The execution is not at the expected version."""


class InvalidTransition(Refused):
    """Not possible in the state of the execution or approval."""


class InvalidInput(Refused):
    """A value breaks a rule, which the message names."""


class StepUpRequired(Refused):
    """The policy asks for a fresher or stronger login than the one of the token.

    ``approval.policy`` has ``acr_values`` and ``max_auth_age``. Log in so, and repeat the decision.
    """


class Lapsed(Refused):
    """The approval was granted, but its time to be redeemed is over."""


REFUSALS: dict[str, type[Refused]] = {
    "NOT_FOUND": NotFound,
    "NOT_ELIGIBLE": NotEligible,
    "ALREADY_DECIDED": AlreadyDecided,
    "ALREADY_REDEEMED": AlreadyRedeemed,
    "DIGEST_MISMATCH": DigestMismatch,
    "KEY_REUSED": KeyReused,
    "STEP_UP_REQUIRED": StepUpRequired,
    "LAPSED": Lapsed,
    "FENCED": Fenced,
    "VERSION_CONFLICT": VersionConflict,
    "INVALID_TRANSITION": InvalidTransition,
    "INVALID_INPUT": InvalidInput,
}


def refusal(result: RefusedResult) -> Refused:
    """Return the exception for a refusal."""
    kind = REFUSALS.get(result.code, Refused)
    return kind(result.code, result.message, result.execution, result.approval)


def transient(error: BaseException) -> bool:
    """Return whether the same request may succeed a little later."""
    match error:
        case Overloaded() | Unavailable():
            return True
        case Refused():
            return error.code in RETRIABLE_REFUSALS
        case _:
            return False


class NotCleared(PlacetError):
    """An approval was not granted. ``approval`` says by whom and why."""

    def __init__(self, approval: ApprovalRecord) -> None:
        said = (d.comment for d in reversed(approval.decisions) if d.comment and d.counts)
        super().__init__(self._text(approval, next(said, None)))
        self.approval = approval

    @staticmethod
    def _text(approval: ApprovalRecord, said: str | None) -> str:
        reason = f": {said}" if said else ""
        return f"approval {approval.key!r} was {approval.status.lower()}{reason}"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.approval,)


class Rejected(NotCleared):
    """Enough people rejected the approval."""


class Expired(NotCleared):
    """Nobody decided in time."""


class Withdrawn(NotCleared):
    """The request was withdrawn."""


class ChangesRequested(NotCleared):
    """Enough people refused the approval, and one of them wants something else to be asked.

    The same key can be requested again with another payload; that opens the next round.
    """

    @staticmethod
    def _text(approval: ApprovalRecord, said: str | None) -> str:
        del said
        wanted = "; ".join(_wanted(approval))
        return f"changes of approval {approval.key!r} were requested: {wanted}"

    @property
    def comments(self) -> tuple[str, ...]:
        """What each person who requested changes wants, in the order of their decisions."""
        return _wanted(self.approval)


def _wanted(approval: ApprovalRecord) -> tuple[str, ...]:
    return tuple(
        each.comment
        for each in approval.decisions
        if each.verdict is Verdict.CHANGES_REQUESTED and each.counts and each.comment
    )


class Revoked(NotCleared):
    """The grant was taken back before it was redeemed."""

    @staticmethod
    def _text(approval: ApprovalRecord, said: str | None) -> str:
        # The comments are those of the grant.
        del said
        return f"the grant of approval {approval.key!r} was revoked before it was used"


class FinalError(PlacetError):
    """Raised by a step that must not be tried again, whatever its ``retries``.

    Raise it, or a class of your own that is derived from it.
    """


class RecordedError(PlacetError):
    """An exception as it was recorded, the same live and in every replay.

    ``type`` is the name of its type with the module, such as "shop.errors.CardDeclined" or
    "ValueError". ``file`` and ``line`` say where it was raised, None if that is not known.
    ``__cause__`` is the exception that caused it, as a RecordedError.
    """

    def __init__(
        self,
        type: str,  # noqa: A002 - the name of what it is
        message: str,
        file: str | None = None,
        line: int | None = None,
    ) -> None:
        place = "" if file is None else f" ({file}, line {line})"
        super().__init__(f"{type}: {message}{place}" if message else f"{type}{place}")
        self.type = type
        self.message = message
        self.file = file
        self.line = line

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.type, self.message, self.file, self.line)


class StepFailed(PlacetError):
    """The last allowed attempt of a step failed.

    ``error`` is the recorded text. ``__cause__`` is a RecordedError: the exception of the step as
    it was recorded, with its own causes. Both are the same live and in every replay.
    """

    def __init__(self, key: str, error: str) -> None:
        super().__init__(f"step {key!r} failed: {error}")
        self.key = key
        self.error = error

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.key, self.error)


class Doubt(PlacetError):
    """Approved work was begun, and it is not known whether it was done.

    The clearance was redeemed for this step, but no result was recorded before the worker ended.
    The step is not run again, because it must not happen twice. A person has to check.
    """


class ChildFailed(PlacetError):
    """A child execution ended without a result.

    ``outcome`` is FAILED or CANCELLED, ``error`` the recorded text of why.
    """

    def __init__(self, key: str, outcome: str, error: str | None) -> None:
        super().__init__(f"child {key!r} was {outcome.lower()}: {error or 'no reason was given'}")
        self.key = key
        self.outcome = outcome
        self.error = error

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.key, self.outcome, self.error)


class ExecutionFailed(PlacetError):
    """An execution ended without a result.

    ``outcome`` is FAILED or CANCELLED, ``error`` the recorded text of why.
    """

    def __init__(self, execution_id: str, outcome: str, error: str | None) -> None:
        why = error or "no reason was given"
        ended = "failed" if outcome == "FAILED" else "was cancelled"
        super().__init__(f"execution {execution_id} {ended}: {why}")
        self.execution_id = execution_id
        self.outcome = outcome
        self.error = error

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.execution_id, self.outcome, self.error)


class Nondeterministic(PlacetError):
    """A replayed workflow asks for something other than what was recorded.

    Workflows do not see this exception. Their execution is parked with it as the reason. Give
    changed code a version, or use ``run.patched`` where it differs.
    """
