"""Builds what resolvers and pages call."""

from api.calendars import load_calendars
from api.channels.webhooks.administration import WebhookAdministration, targets_of
from api.context import Services
from api.settings import Settings
from api.wiring.core import Core
from application.directory import Directory
from application.eligible_people import EligiblePeople
from application.notifications.center import NotificationCenter
from application.substitute_pages import SubstitutePages
from application.substitutes import Substitutes
from application.webhooks.registrations import Webhooks
from application.workers.dispatcher import Dispatcher
from application.workers.leases import Leases
from application.workers.long_polling import LongPolling
from projections.approvals.past_query import PastApprovalQuery
from projections.approvals.query import ApprovalQuery
from projections.decisions.query import DecisionQuery
from projections.events.query import EventSearch
from projections.executions.query import ExecutionQuery
from projections.standing_grants.query import StandingGrantQuery


def build_services(settings: Settings, core: Core) -> Services:
    """Build the services of clients. Raises ConfigurationError."""
    reads, client_reader, checkpoints = core.reads, core.client_reader, core.checkpoints
    leases = Leases(core.pool, core.writer, core.reader)
    directory = Directory(reads, core.writer)
    return Services(
        writer=core.writer,
        reader=client_reader,
        tail=core.tail,
        leases=leases,
        dispatcher=Dispatcher(core.tail, core.reader, leases),
        long_polling=LongPolling(leases, core.reader, core.tail),
        executions=ExecutionQuery(reads, checkpoints),
        approvals=ApprovalQuery(reads, checkpoints),
        past_approvals=PastApprovalQuery(reads, client_reader, checkpoints),
        decisions=DecisionQuery(reads, checkpoints),
        events=EventSearch(reads, client_reader),
        standing_grants=StandingGrantQuery(reads, checkpoints),
        substitutes=Substitutes(core.pool, read_again=core.read_again),
        absences=SubstitutePages(core.pool),
        directory=directory,
        eligible_people=EligiblePeople(directory),
        webhooks=WebhookAdministration(Webhooks(core.pool), targets_of(settings)),
        notifications=NotificationCenter(reads, core.pool),
        calendars=load_calendars(settings.calendars),
    )
