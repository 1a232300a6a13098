"""All read models, by name."""

from projections.approvals import APPROVALS
from projections.executions import EXECUTIONS

MODELS = {model.name: model for model in (EXECUTIONS, APPROVALS)}
