"""All read models, by name."""

from projections.approvals.projection import APPROVALS
from projections.decisions.projection import DECISIONS
from projections.events.projection import EVENTS
from projections.executions.projection import EXECUTIONS
from projections.standing_grants.projection import STANDING_GRANTS

MODELS = {
    model.name: model for model in (EXECUTIONS, APPROVALS, EVENTS, DECISIONS, STANDING_GRANTS)
}
