"""A day in an office: what the made-up people ask, decide and run, for pictures of the console."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg

import placet
from bench.stack import Stack
from placet.models.commands import KnownWorkflow
from projections.approvals.statistics import bucket_of
from tests.support.forked import placet_server

DIRECTORY = """\
id,emails,groups,roles
approver-a,approver-a@example.com,finance;managers,APPROVER
approver-b,approver-b@example.com,finance,APPROVER
approver-c,approver-c@example.com,legal,APPROVER
mia,mia@example.com,finance,APPROVER
noor,noor@example.com,legal;managers,APPROVER
"""
KEYS = (
    ("--name=billing-engine", "--role=ENGINE", "--queue=billing"),
    ("--name=mia", "--role=APPROVER", "--group=finance", "--days=365"),
    ("--name=reports-of-the-internal-audit", "--role=AUDITOR"),
)
INVOICE = {
    "invoice": "4711",
    "supplier": {"name": "Nordlicht GmbH", "city": "Kiel", "iban": "DE02 1203 0000 0000 2020 51"},
    "due": "2026-12-14",
    "euros": 12480.5,
    "lines": [
        {"item": "Lamp LX-200", "count": 40, "euros": 8500},
        {"item": "Mounting", "count": 40, "euros": 3180},
        {"item": "Delivery and insurance", "count": 1, "euros": 800.5},
    ],
}
HOUR = bucket_of(timedelta(hours=1))
# A day of the last month for each row: workflow, outcome, bucket of the time it took, number.
ENDED = (
    ("pay-invoice", "GRANTED", HOUR, 5),
    ("pay-invoice", "GRANTED", HOUR + 7, 3),
    ("pay-invoice", "REJECTED", HOUR + 9, 1),
    ("business-trip", "GRANTED", HOUR + 4, 2),
    ("business-trip", "EXPIRED", HOUR + 14, 1),
    ("purchase-order", "GRANTED", HOUR - 5, 4),
    ("purchase-order", "REJECTED", HOUR - 3, 1),
)
DEAD = """
    INSERT INTO outbox_messages (id, kind, recipient, channel, version, position, due_at,
        status, tries, last_error, ended_at)
    VALUES (gen_random_uuid(), %s, %s, 'email', 1, %s, now(), 'DEAD', 14, %s, now())
"""


SUBSTITUTE = """
mutation ($input: SubstituteInput!) { setSubstitute(input: $input) { code message } }
"""
WEBHOOK = """
mutation ($input: WebhookInput!) { createWebhook(input: $input) { code message } }
"""


class Office:
    """The people as clients. ``ids`` has what pages are of, for their addresses."""

    def __init__(self, server: Stack, database_url: str) -> None:
        self.server = server
        self.database_url = database_url
        self.people = {name: self._client(name) for name in server.tokens}
        self.approvals: dict[str, placet.Approval] = {}
        self.ids: dict[str, str] = {}
        self.position = ""

    def _client(self, name: str) -> placet.Client:
        return placet.Client(self.server.url, self.server.tokens[name])

    async def close(self) -> None:
        """Close the connections of all people."""
        for client in self.people.values():
            await client.close()

    async def start(self, workflow: str, input: Any = None, **options: Any) -> str:  # noqa: A002
        """Start an execution, and return its id."""
        started = await self.people["operator"].start(workflow, input, **options)
        assert started.execution is not None
        self.position = started.position
        return started.execution.id

    async def ask(
        self, execution: str, title: str, payload: Any, policy: placet.Policy, **more: Any
    ) -> placet.Approval:
        """Ask for approval, as a workflow does."""
        asked = await self.people["engine"].request_approval(
            execution, more.pop("key", "approve"), title, payload=payload, policy=policy, **more
        )
        assert asked.approval is not None
        self.position = asked.position
        return asked.approval

    async def graphql(self, person: str, query: str, given: dict[str, Any]) -> None:
        """Send a mutation that the package has no function for."""
        async with httpx.AsyncClient(timeout=60) as http:
            answer = await http.post(
                f"{self.server.url}/graphql",
                headers={"authorization": f"Bearer {self.server.tokens[person]}"},
                json={"query": query, "variables": {"input": given}},
            )
        [result] = answer.json()["data"].values()
        assert result["code"] is None, result["message"]

    async def step(self, execution: str, name: str, result: Any = None, **more: Any) -> None:
        """Record a step of a workflow."""
        key = name.replace(" ", "-")
        await self.people["engine"].record_step(execution, key, name=name, result=result, **more)


async def open_office(server: Stack, database_url: str) -> Office:
    """Let the people work. Returns when every list shows what they did."""
    file = server.data / "people.csv"
    file.write_text(DIRECTORY, encoding="utf-8")
    placet_server("people", "import", str(file), database_url=database_url)
    for key in KEYS:
        placet_server("token", "create", *key, database_url=database_url)
    office = Office(server, database_url)
    await _invoice(office)
    await _others(office)
    await _ended(office)
    await _standing_grant(office)
    await _absences(office)
    await _worker(office)
    _last_month(office)
    office.ids |= {name: one.id for name, one in office.approvals.items()}
    office.ids["execution"] = office.approvals["invoice"].execution_id
    await office.people["operator"].approvals(first=0, at_least=office.position)
    await office.people["operator"].executions(first=0, at_least=office.position)
    return office


async def _invoice(office: Office) -> None:
    """An invoice in its second round, which two people must approve, one of whom has."""
    execution = await office.start("pay-invoice", {"invoice": "4711"}, on_behalf_of="employee")
    await office.step(execution, "read invoice", {"pages": 2})
    await office.step(execution, "match order", error="the archive did not answer", attempt=1)
    await office.step(execution, "match order", {"order": "2026-0815"}, attempt=2)
    policy = placet.require(2, group="finance").allow_amendment()
    title = "Pay invoice 4711 to Nordlicht GmbH"
    lines = [*INVOICE["lines"][:2], {"item": "Express delivery", "count": 1, "euros": 1300.5}]  # type: ignore[index]
    before = {**INVOICE, "euros": 12980.5, "lines": lines}
    first = await office.ask(execution, title, before, policy)
    await office.people["approver-b"].request_changes(
        first, comment="We ordered the usual delivery, not express."
    )
    second = await office.ask(
        execution, title, INVOICE, policy, description="The lamps came on Thursday, all of them."
    )
    await office.people["approver-b"].grant(second, comment="Now it is right.")
    await office.people["operator"].comment(second, "Nordlicht gives 2% if we pay this week.")
    office.approvals["invoice"] = second


async def _others(office: Office) -> None:
    """What else waits: a trip that is urgent, an order, a contract with a long name."""
    trip = await office.start("business-trip", {"to": "Lisbon"}, on_behalf_of="mia")
    soon = datetime.now(UTC) + timedelta(hours=3)
    office.approvals["trip"] = await office.ask(
        trip,
        "Trip to Lisbon for the suppliers' fair",
        {"who": "mia", "to": "Lisbon", "days": 5, "euros": 1140},
        placet.require(1, group="finance"),
        deadline=soon,
    )
    order = await office.start("purchase-order", {"item": "chairs"}, on_behalf_of="noor")
    child = await office.people["engine"].start_child(order, "check", "check-supplier", {})
    assert child.execution is not None
    office.approvals["order"] = await office.ask(
        order,
        "Order 12 chairs for the meeting room",
        {"who": "noor", "item": "Chair Nora", "count": 12, "euros": 2388},
        placet.require(1, group="finance").then(placet.require(1, group="managers")),
    )
    contract = await office.start("supplier-contract", {"supplier": "Nordlicht GmbH"})
    office.approvals["contract"] = await office.ask(
        contract,
        "Framework contract with Nordlicht Beleuchtungssysteme GmbH & Co. KG on the supply and"
        " maintenance of lamps in all buildings until 2029",
        {"supplier": "Nordlicht GmbH", "years": 3, "euros a year": 38000},
        placet.require(1, group="legal"),
    )


async def _ended(office: Office) -> None:
    """Executions that ended, or that nobody goes on with."""
    engine, operator = office.people["engine"], office.people["operator"]
    paid = await office.start("pay-invoice", {"invoice": "4702"}, on_behalf_of="employee")
    approval = await office.ask(
        paid, "Pay invoice 4702 to Copyshop Ost", {"euros": 89.9}, placet.require(group="finance")
    )
    await office.people["approver-a"].grant(approval)
    await office.step(paid, "pay", {"receipt": "R-20417"})
    await engine.complete(paid, {"receipt": "R-20417"})
    trip = await office.start("business-trip", {"to": "Singapore"}, on_behalf_of="employee")
    refused = await office.ask(
        trip, "Trip to Singapore", {"euros": 6900}, placet.require(group="finance")
    )
    await office.people["approver-a"].reject(refused, comment="A call is enough for this.")
    await engine.complete(trip, {"travels": False})
    failed = await office.start("pay-invoice", {"invoice": "4709"})
    await office.step(failed, "pay", error="the bank answered 503 three times", attempt=3)
    await engine.fail(failed, "the bank answered 503 three times")
    cancelled = await office.start("purchase-order", {"item": "lamps"})
    await operator.cancel(cancelled, "It was ordered twice")
    parked = await office.start("pay-invoice", {"invoice": "4710"})
    done = await operator.park(parked, "The account of the supplier is being checked")
    office.position = done.position


async def _standing_grant(office: Office) -> None:
    """What comes every day, allowed in advance and used."""
    properties = {
        "to": {"const": "Bakery at the corner"},
        "euros": {"type": "number", "minimum": 0, "maximum": 120},
    }
    granted = await office.people["approver-a"].create_standing_grant(
        "catering",
        key="approve",
        payload_schema={
            "type": "object",
            "properties": properties,
            "required": ["to", "euros"],
            "additionalProperties": False,
        },
        max_uses=20,
        expires_at=datetime.now(UTC) + timedelta(days=60),
        comment="Bread for the kitchen comes every day",
    )
    office.ids["grant"] = granted.id
    for number, euros in enumerate((84, 91.5)):
        day = await office.start("catering", {"day": number + 1}, on_behalf_of="employee")
        await office.ask(
            day,
            "Bread for the kitchen",
            {"to": "Bakery at the corner", "euros": euros},
            placet.require(group="finance"),
        )


async def _absences(office: Office) -> None:
    """Somebody who is away, and who decides meanwhile."""
    away = datetime.now(UTC) + timedelta(days=12)
    given = {"substitute": "mia", "endsAt": away.isoformat(), "comment": "On holiday"}
    await office.graphql("approver-b", SUBSTITUTE, given)
    for name, url, groups in (
        ("accounting", "https://accounting.example/hooks/placet", ["finance"]),
        ("data-warehouse", "https://warehouse.example/hooks/approvals", []),
    ):
        await office.graphql("admin", WEBHOOK, {"name": name, "url": url, "groups": groups})


async def _worker(office: Office) -> None:
    """A worker that knows most of the workflows."""
    names = ("pay-invoice", "business-trip", "purchase-order", "check-supplier")
    known = [KnownWorkflow(name=name) for name in names]
    await office.people["engine"].poll("office-worker-1", limit=4, workflows=known)


def _last_month(office: Office) -> None:
    """Put what happened before today into the tables, because nobody can wait for it.

    These are the numbers of the last weeks, and mails that could not be delivered in three days.
    """
    with psycopg.connect(office.database_url) as connection:
        for ago in range(1, 30):
            for number, row in enumerate(ENDED):
                if (ago * 7 + number * 5) % 4 and (ago + 1) % 7 > 1:
                    connection.execute(
                        "INSERT INTO approval_days (day, workflow, outcome, took, number)"
                        " VALUES ((now() AT TIME ZONE 'UTC')::date - %s, %s, %s, %s, %s)",
                        [ago, *row[:3], row[3] + (ago * number) % 3],
                    )
        for number, who in enumerate(("former-colleague", "approver-c")):
            reason = f"550 5.1.1 <{who}@example.com> is not known here"
            connection.execute(DEAD, ["OPENED", who, number + 1, reason])
