-- name: tables
CREATE TABLE IF NOT EXISTS executions (
    id uuid PRIMARY KEY,
    version bigint NOT NULL,
    state text NOT NULL,
    parked boolean NOT NULL,
    workflow text NOT NULL,
    queue text NOT NULL,
    initiator uuid NOT NULL,
    started_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    body bytea NOT NULL
) WITH (autovacuum_analyze_scale_factor = 0.05, autovacuum_vacuum_scale_factor = 0.1);
-- Labels and text seldom change and are costly to index. They are in separate tables, so that most
-- events do not update their indexes. A row for each label, with the time of the start: so the
-- executions with a label are found in the order of their start, however many there are. The planner
-- can't estimate how many rows an array of labels is found in, if few have it.
CREATE TABLE IF NOT EXISTS execution_labels (
    label uuid NOT NULL,
    started_at timestamptz NOT NULL,
    id uuid NOT NULL,
    PRIMARY KEY (label, started_at, id)
) WITH (autovacuum_analyze_scale_factor = 0.05, autovacuum_vacuum_scale_factor = 0.1);
CREATE TABLE IF NOT EXISTS execution_terms (
    id uuid PRIMARY KEY,
    search tsvector NOT NULL
) WITH (autovacuum_analyze_scale_factor = 0.05, autovacuum_vacuum_scale_factor = 0.1);
-- name: indexes
CREATE INDEX IF NOT EXISTS executions_started ON executions (started_at, id);
CREATE INDEX IF NOT EXISTS executions_updated ON executions (updated_at, id);
CREATE INDEX IF NOT EXISTS executions_state_started ON executions (state, started_at, id);
CREATE INDEX IF NOT EXISTS executions_state_updated ON executions (state, updated_at, id);
CREATE INDEX IF NOT EXISTS executions_workflow_started ON executions (workflow, started_at, id);
CREATE INDEX IF NOT EXISTS executions_workflow_updated ON executions (workflow, updated_at, id);
CREATE INDEX IF NOT EXISTS executions_queue_started ON executions (queue, started_at, id);
CREATE INDEX IF NOT EXISTS executions_queue_updated ON executions (queue, updated_at, id);
CREATE INDEX IF NOT EXISTS executions_initiator_started ON executions (initiator, started_at, id);
CREATE INDEX IF NOT EXISTS executions_initiator_updated ON executions (initiator, updated_at, id);
CREATE INDEX IF NOT EXISTS executions_parked ON executions (started_at, id) WHERE parked;
CREATE INDEX IF NOT EXISTS execution_labels_id ON execution_labels (id);
CREATE INDEX IF NOT EXISTS execution_terms_search ON execution_terms USING gin (search);
-- name: upsert
WITH moved AS (
    UPDATE projection_positions SET position = %(position)s
    WHERE name = 'executions' AND position = %(after)s
    RETURNING position
), heads AS (
    INSERT INTO executions AS old (
        id, version, state, parked, workflow, queue, initiator, started_at, updated_at, body
    )
    SELECT new.*
    FROM moved, unnest(
        %(id)b::uuid[], %(version)b::bigint[], %(state)b::text[], %(parked)b::boolean[],
        %(workflow)b::text[], %(queue)b::text[], %(initiator)b::uuid[], %(started_at)b::timestamptz[],
        %(updated_at)b::timestamptz[], %(body)b::bytea[]
    ) AS new
    ON CONFLICT (id) DO UPDATE SET
        version = excluded.version,
        state = excluded.state,
        parked = excluded.parked,
        updated_at = excluded.updated_at,
        body = excluded.body
), terms AS (
    INSERT INTO execution_terms AS old (id, search)
    SELECT new.id, to_tsvector('simple', new.document)
    FROM moved, unnest(%(term_id)b::uuid[], %(document)b::text[]) AS new (id, document)
    ON CONFLICT (id) DO UPDATE SET search = excluded.search
), labels AS (
    INSERT INTO execution_labels (label, started_at, id)
    SELECT new.label, new.started_at, new.id
    FROM moved, unnest(
        %(label)b::uuid[], %(label_started_at)b::timestamptz[], %(label_id)b::uuid[]
    ) AS new (label, started_at, id)
    ON CONFLICT DO NOTHING
)
SELECT count(*) FROM moved
-- name: stored
-- A time that Python does not have becomes NULL, which is never right.
SELECT id, version, state, parked, workflow, queue, initiator,
    CASE WHEN started_at >= '0001-01-01' AND started_at < '10000-01-01' THEN started_at END AS started_at,
    CASE WHEN updated_at >= '0001-01-01' AND updated_at < '10000-01-01' THEN updated_at END AS updated_at,
    body
FROM executions WHERE id = ANY (%(ids)s)
-- name: other_terms
SELECT new.id
FROM unnest(%(term_id)b::uuid[], %(document)b::text[]) AS new (id, document)
LEFT JOIN execution_terms AS old ON old.id = new.id
WHERE old.search IS DISTINCT FROM to_tsvector('simple', new.document)
UNION
SELECT coalesce(new.id, old.id)
FROM unnest(%(label)b::uuid[], %(label_started_at)b::timestamptz[], %(label_id)b::uuid[])
    AS new (label, started_at, id)
FULL JOIN (SELECT * FROM execution_labels WHERE id = ANY (%(term_id)b::uuid[])) AS old
    ON (old.label, old.started_at, old.id) = (new.label, new.started_at, new.id)
WHERE new.id IS NULL OR old.id IS NULL
-- name: strays
SELECT id, false AS logged FROM executions AS row
WHERE NOT EXISTS (SELECT FROM execution_events AS e WHERE e.originator_id = row.id)
UNION
SELECT id, true FROM execution_terms AS row
WHERE NOT EXISTS (SELECT FROM executions AS e WHERE e.id = row.id)
UNION
SELECT id, true FROM execution_labels AS row
WHERE NOT EXISTS (SELECT FROM executions AS e WHERE e.id = row.id)
