"""All that somebody can do to the database who may change every table."""

from tests.application.event_store.verification.approval_manipulations import AMENDMENTS, DECISIONS
from tests.application.event_store.verification.directory_manipulations import DIRECTORY
from tests.application.event_store.verification.event_manipulations import (
    EVENTS,
    FAMILIES,
    POSITIONS,
)
from tests.application.event_store.verification.standing_grant_manipulations import STANDING_GRANTS
from tests.application.event_store.verification.substitution_manipulations import SUBSTITUTIONS
from tests.application.event_store.verification.table_manipulations import READ_MODELS, SIDE_TABLES

MANIPULATIONS = (
    *EVENTS,
    *DECISIONS,
    *AMENDMENTS,
    *FAMILIES,
    *SIDE_TABLES,
    *READ_MODELS,
    *POSITIONS,
    *STANDING_GRANTS,
    *DIRECTORY,
    *SUBSTITUTIONS,
)
