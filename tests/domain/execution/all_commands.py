"""All commands to one execution, by many people and in any order."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from domain.values import ExecutionState
from tests.domain.ask import (
    Ask,
    cancel,
    cancel_timer,
    claim,
    complete,
    end_cancellation,
    end_child,
    fail,
    fire_timer,
    park,
    retry,
    set_timer,
    signal,
    start,
    start_child,
    step,
    suspend,
    unpark,
)
from tests.domain.execution.approval_commands import ApprovalCommands
from tests.domain.execution.command_machine import (
    ENDS,
    EVA,
    back,
    engines,
    fences,
    keys,
    step_keys,
    words,
)
from tests.domain.people import ADAM, OLIVIA, STRANGER


class AllCommands(ApprovalCommands):
    """What a worker and an operator do, besides what is said about approvals."""

    @rule(by=engines, cleans_up=st.booleans())
    def claim(self, by: Any, cleans_up: bool) -> None:  # noqa: FBT001 - drawn
        self.ask(claim(by, cleans_up=cleans_up))

    @rule(by=engines, fence=fences, key=step_keys, attempt=st.integers(1, 3), result=words)
    def succeed(self, by: Any, fence: int | None, key: str, attempt: int, result: str) -> None:
        if self.ask(step(key, by, fence=fence, attempt=attempt, result=result)):
            assert key not in self.results
            self.results[key] = result

    @rule(by=engines, fence=fences, key=step_keys, attempt=st.integers(1, 3), error=words)
    def stumble(self, by: Any, fence: int | None, key: str, attempt: int, error: str) -> None:
        self.ask(step(key, by, fence=fence, attempt=attempt, error=error))

    @rule(by=engines, fence=fences, key=keys)
    def set_timer(self, by: Any, fence: int | None, key: str) -> None:
        self.ask(set_timer(key, by, fence=fence))

    @rule(key=keys, fires=st.booleans())
    def end_timer(self, key: str, fires: bool) -> None:  # noqa: FBT001 - drawn
        self.ask(fire_timer(key) if fires else cancel_timer(key))

    @rule(name=words, key=keys, payload=words)
    def signal(self, name: str, key: str, payload: str) -> None:
        self.ask(signal(name, key=key, payload=payload))

    @rule(by=engines, fence=fences, key=keys)
    def start_child(self, by: Any, fence: int | None, key: str) -> None:
        self.ask(start_child(key, by, fence=fence))

    @rule(key=keys, outcome=st.sampled_from(list(ENDS.values())))
    def end_child(self, key: str, outcome: ExecutionState) -> None:
        child = self.execution.children.get(key)
        self.ask(end_child(key, round=child.round if child else 1, outcome=outcome))

    @rule(by=engines, fence=fences, seen=back)
    def suspend(self, by: Any, fence: int | None, seen: int) -> None:
        self.ask(suspend(by, fence=fence, seen=self.execution.woken_version - seen))

    @rule(chance=st.integers(0, 3))
    def park(self, chance: int) -> None:
        if chance == 0:
            self.ask(park())

    @rule()
    def unpark(self) -> None:
        self.ask(unpark())

    @rule(chance=st.integers(0, 2))
    def cancel_after_a_clean_up(self, chance: int) -> None:
        if chance == 0 and self.execution.cleans_up:
            self.ask(cancel())

    @rule(chance=st.integers(0, 4))
    def end_the_clean_up(self, chance: int) -> None:
        if chance == 0:
            self.ask(end_cancellation())

    @rule(
        end=st.sampled_from((fail(), fail(), fail(fence=1), complete(), cancel())),
        chance=st.integers(0, 4),
    )
    def end(self, end: Ask, chance: int) -> None:
        if chance == 0:
            self.ask(end)

    @rule(by=st.sampled_from((OLIVIA, ADAM, EVA, STRANGER)), back=st.integers(0, 3))
    def retry(self, by: Any, back: int) -> None:
        self.ask(retry(by, expected_version=self.execution.version - back))

    @precondition(lambda self: self.execution.state is ExecutionState.FAILED)
    @rule()
    def retry_at_once(self) -> None:
        self.ask(retry())

    @rule(by=st.sampled_from((OLIVIA, EVA, STRANGER)), workflow=st.sampled_from(("travel", "x")))
    def start_again(self, by: Any, workflow: str) -> None:
        assert self.ask(start(by, workflow=workflow)) == ()
