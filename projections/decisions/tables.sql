-- name: tables
-- place is the person in whose place somebody decided. groups are those that the policy asks.
CREATE TABLE IF NOT EXISTS decisions (
    execution_id uuid NOT NULL,
    version bigint NOT NULL,
    decided_at timestamptz NOT NULL,
    decider uuid NOT NULL,
    place uuid,
    verdict text NOT NULL,
    rule uuid NOT NULL,
    workflow text NOT NULL,
    groups uuid[] NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (execution_id, version)
) WITH (autovacuum_analyze_scale_factor = 0.05, autovacuum_vacuum_scale_factor = 0.1);
-- name: indexes
CREATE INDEX IF NOT EXISTS decisions_decided ON decisions (decided_at, execution_id, version);
CREATE INDEX IF NOT EXISTS decisions_decider
    ON decisions (decider, decided_at, execution_id, version);
CREATE INDEX IF NOT EXISTS decisions_place
    ON decisions (place, decided_at, execution_id, version) WHERE place IS NOT NULL;
CREATE INDEX IF NOT EXISTS decisions_rule ON decisions (rule, decided_at, execution_id, version);
CREATE INDEX IF NOT EXISTS decisions_workflow
    ON decisions (workflow, decided_at, execution_id, version);
CREATE INDEX IF NOT EXISTS decisions_verdict
    ON decisions (verdict, decided_at, execution_id, version) WHERE verdict <> 'GRANTED';
CREATE INDEX IF NOT EXISTS decisions_groups ON decisions USING gin (groups);
-- name: upsert
-- A decision is written again if it was taken back, or when its approval is resolved.
WITH moved AS (
    UPDATE projection_positions SET position = %(position)s
    WHERE name = 'decisions' AND position = %(after)s
    RETURNING position
), rows AS (
    INSERT INTO decisions AS old (
        execution_id, version, decided_at, decider, place, verdict, rule, workflow, groups,
        body
    )
    SELECT new.execution_id, new.version, new.decided_at, new.decider, new.place, new.verdict,
        new.rule, new.workflow, new.groups::uuid[], new.body
    FROM moved, unnest(
        %(execution_id)b::uuid[], %(version)b::bigint[], %(decided_at)b::timestamptz[],
        %(decider)b::uuid[], %(place)b::uuid[], %(verdict)b::text[], %(rule)b::uuid[],
        %(workflow)b::text[], %(groups)b::text[], %(body)b::bytea[]
    ) AS new (
        execution_id, version, decided_at, decider, place, verdict, rule, workflow, groups,
        body
    )
    ON CONFLICT (execution_id, version) DO UPDATE SET body = excluded.body
    WHERE old.body <> excluded.body
)
SELECT count(*) FROM moved
-- name: stored
-- A time that Python does not have becomes NULL, which is never right.
SELECT execution_id, version,
    CASE WHEN decided_at >= '0001-01-01' AND decided_at < '10000-01-01' THEN decided_at END
        AS decided_at,
    decider, place, verdict, rule, workflow, groups::text, body
FROM decisions WHERE execution_id = ANY (%(ids)s)
-- name: other_terms
-- There are no terms beside the rows.
SELECT new.execution_id, new.version
FROM unnest(%(execution_id)b::uuid[], %(version)b::bigint[]) AS new (execution_id, version)
WHERE false
-- name: strays
SELECT execution_id, false AS logged FROM decisions AS row
WHERE NOT EXISTS (
    SELECT FROM execution_events AS e
    WHERE (e.originator_id, e.originator_version) = (row.execution_id, row.version)
)
