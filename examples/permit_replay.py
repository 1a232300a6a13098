"""Replays the cases of the permit log through the public API, and compares the results.

    python -m examples.permit_replay PATH [--cases N]

Each role decides with its own token. The read models are compared with the results expected by the
file, for each case and each approval.
"""

import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

import placet
from bench.stack import Stack, stack
from examples import permit_log
from examples.permit_log import (
    AskAction,
    Case,
    DecideAction,
    Expected,
    StepAction,
    WithdrawAction,
    actions,
)
from placet.models.commands import RecordStep

AT_ONCE = 32
PAGE = 500
WORKFLOW = "travel-permit"


@dataclass
class Report:
    """The result of a run."""

    cases: int = 0
    requests: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    approvals: int = 0
    steps: int = 0
    drive_seconds: float = 0.0
    compare_seconds: float = 0.0
    differences: list[str] = field(default_factory=list)


class Run:
    """One run over cases, on a server that does not have them yet."""

    def __init__(self, clients: dict[str, placet.Client], report: Report) -> None:
        self._clients = clients
        self._report = report
        self._operator = clients["operator"]
        self._engine = clients["engine"]
        self.position = "0"

    async def drive(self, case: Case) -> str:
        """Send all commands of a case. Returns the id of its execution."""
        self._report.requests += 1
        started = await self._operator.start(
            WORKFLOW, {"case": case.name}, key=case.name, labels={"case": case.name}
        )
        assert started.execution is not None
        execution_id = started.execution.id
        latest: dict[str, placet.Approval] = {}
        answers: list[str] = []
        steps: list[RecordStep] = []
        for action in actions(case):
            if not isinstance(action, StepAction):
                await self._record(steps)
                steps = []
            match action:
                case StepAction(key=key, name=name):
                    steps.append(RecordStep(execution_id=execution_id, key=key, name=name))
                case AskAction(document=document):
                    await self._withdraw(latest.get(document))
                    latest[document] = await self._ask(execution_id, action)
                case WithdrawAction(document=document):
                    await self._withdraw(latest.get(document))
                case DecideAction(document=document):
                    answers.append(await self._decide(latest[document], action))
        await self._record(steps)
        wanted = permit_log.expected(case)
        if answers != wanted.answers:
            self._report.differences.append(
                f"{case.name}: the decisions were answered {answers}, expected {wanted.answers}"
            )
        self._report.answers.update(answers)
        if wanted.state == "COMPLETED":
            await self._sent(self._engine.complete(execution_id, {"case": case.name}))
        return execution_id

    async def _sent(self, command: object) -> placet.Accepted:
        self._report.requests += 1
        accepted: placet.Accepted = await command  # type: ignore[misc]
        self.position = max(self.position, accepted.position, key=int)
        return accepted

    async def _record(self, steps: list[RecordStep]) -> None:
        """Record steps that follow each other, in one request."""
        if not steps:
            return
        self._report.requests += 1
        for outcome in await self._engine.submit(steps):
            if isinstance(outcome, placet.Refused):
                raise outcome
            self.position = max(self.position, outcome.position, key=int)

    async def _ask(self, execution_id: str, action: AskAction) -> placet.Approval:
        policy = placet.require(1, group=action.roles[0])
        for role in action.roles[1:]:
            policy &= placet.require(1, group=role)
        accepted = await self._sent(
            self._engine.request_approval(
                execution_id,
                action.key,
                action.document,
                payload={"document": action.document, "key": action.key},
                policy=policy,
            )
        )
        assert accepted.approval is not None
        return accepted.approval

    async def _withdraw(self, approval: placet.Approval | None) -> None:
        """WithdrawAction an approval if it is pending, which only the service knows."""
        if approval is None:
            return
        try:
            await self._sent(self._engine.withdraw(approval.id, "submitted anew or taken back"))
        except placet.Refused as refused:
            if refused.code != "ALREADY_DECIDED":
                raise

    async def _decide(self, approval: placet.Approval, action: DecideAction) -> str:
        client = self._clients[action.role]
        try:
            if action.verdict == "GRANTED":
                accepted = await self._sent(client.grant(approval))
            else:
                accepted = await self._sent(client.reject(approval, comment="as in the log"))
        except placet.Refused as refused:
            return refused.code
        return "repeated" if accepted.repeated else "accepted"


async def run(server: Stack, cases: list[Case]) -> Report:
    """Replay the cases and compare the results."""
    report = Report(cases=len(cases))
    async with AsyncExitStack() as clients:
        tokens = {name: server.tokens[name] for name in ("operator", "engine", "auditor")}
        for role in permit_log.ROLES:
            name = role.lower().replace(" ", "-")
            tokens[role] = server.create_token(name, "APPROVER", [role])
        opened = {
            name: await clients.enter_async_context(placet.Client(server.url, token))
            for name, token in tokens.items()
        }
        driver = Run(opened, report)
        limit = asyncio.Semaphore(AT_ONCE)

        async def one(case: Case) -> tuple[str, Case]:
            async with limit:
                return await driver.drive(case), case

        began = time.perf_counter()
        by_id = dict(await asyncio.gather(*map(one, cases)))
        report.drive_seconds = time.perf_counter() - began
        began = time.perf_counter()
        await compare(opened["auditor"], by_id, driver.position, report)
        report.compare_seconds = time.perf_counter() - began
    return report


async def compare(
    auditor: placet.Client, by_id: dict[str, Case], position: str, report: Report
) -> None:
    """Compare the read models, at the position of the last command, with the expected results."""
    wanted = {id_: permit_log.expected(case) for id_, case in by_id.items()}
    seen: set[str] = set()
    async for execution in _executions(auditor, position):
        seen.add(execution.id)
        if execution.id not in wanted:
            report.differences.append(f"{execution.id} is in the read model, but not in the log")
            continue
        _same(
            report,
            by_id[execution.id],
            "state and version",
            (str(execution.state), execution.version),
            (wanted[execution.id].state, wanted[execution.id].events),
        )
    report.differences += [
        f"{by_id[id_].name} is missing from the read model" for id_ in wanted.keys() - seen
    ]
    found: dict[str, list[placet.Approval]] = {id_: [] for id_ in wanted}
    async for approval in _approvals(auditor, position):
        found.setdefault(approval.execution_id, []).append(approval)
        report.approvals += 1
    for id_, expected in wanted.items():
        _compare_approvals(report, by_id[id_], found[id_], expected)
    limit = asyncio.Semaphore(AT_ONCE)

    async def steps(id_: str) -> None:
        async with limit:
            history = await auditor.history(id_)
        got = [] if history is None else [(step.key, step.name) for step in history.steps]
        report.steps += len(got)
        _same(report, by_id[id_], "steps", got, [(s.key, s.name) for s in wanted[id_].steps])

    await asyncio.gather(*map(steps, wanted))


def _compare_approvals(
    report: Report, case: Case, found: list[placet.Approval], expected: Expected
) -> None:
    by_key = {approval.key: approval for approval in found}
    _same(report, case, "approvals", sorted(by_key), sorted(a.key for a in expected.approvals))
    for wanted in expected.approvals:
        approval = by_key.get(wanted.key)
        if approval is None:
            continue
        _same(
            report,
            case,
            wanted.key,
            (
                str(approval.status),
                [requirement.groups for requirement in approval.policy.requirements],
                [(decision.by.id, str(decision.verdict)) for decision in approval.decisions],
            ),
            (
                wanted.status,
                [[role] for role in wanted.roles],
                [(role.lower().replace(" ", "-"), verdict) for role, verdict in wanted.decisions],
            ),
        )


def _same(report: Report, case: Case, what: str, got: object, wanted: object) -> None:
    if got != wanted:
        report.differences.append(f"{case.name}: {what} is {got}, expected {wanted}")


async def _executions(client: placet.Client, position: str) -> AsyncIterator[placet.Execution]:
    where = placet.ExecutionFilter(workflow=[WORKFLOW])
    after = None
    while True:
        page = await client.executions(where, first=PAGE, after=after, at_least=position)
        for execution in page:
            yield execution
        after = page.next
        if after is None:
            return


async def _approvals(client: placet.Client, position: str) -> AsyncIterator[placet.Approval]:
    where = placet.ApprovalFilter(workflow=[WORKFLOW])
    after = None
    while True:
        page = await client.approvals(where, first=PAGE, after=after, at_least=position)
        for approval in page:
            yield approval
        after = page.next
        if after is None:
            return


def show(report: Report) -> None:
    """Print totals, differences and rates."""
    print(f"cases         {report.cases}")
    print(f"requests      {report.requests}")
    print(f"steps         {report.steps}")
    print(f"approvals     {report.approvals}")
    for answer, number in sorted(report.answers.items()):
        print(f"decisions     {number} {answer}")
    print(
        f"driven in     {report.drive_seconds:.1f} s: "
        f"{report.cases / report.drive_seconds:.0f} cases/s, "
        f"{report.requests / report.drive_seconds:.0f} requests/s"
    )
    print(f"compared in   {report.compare_seconds:.1f} s")
    print(f"differences   {len(report.differences)}")
    for difference in report.differences[:50]:
        print(f"  {difference}")


def main(
    path: Annotated[Path, typer.Argument(help="The permit log, gzipped XES.")],
    cases: Annotated[int | None, typer.Option(help="Only the first so many cases.")] = None,
) -> None:
    """Replay the permit log through the public API, and compare the results."""
    try:
        found = list(permit_log.read(path))[:cases]
    except permit_log.PermitLogError as error:
        sys.exit(f"examples.permit_replay: {error}")
    with tempfile.TemporaryDirectory(prefix="placet-permits-") as data, stack(Path(data)) as server:
        report = asyncio.run(run(server, found))
    show(report)
    if report.differences:
        sys.exit(1)


if __name__ == "__main__":
    typer.run(main)
