"""All read models, by name."""

from projections.approvals.projection import APPROVALS
from projections.executions.projection import EXECUTIONS

MODELS = {model.name: model for model in (EXECUTIONS, APPROVALS)}
