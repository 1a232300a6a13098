-- name: tables
-- due is the deadline, or infinity if there is none, so that one comparison orders all rows.
CREATE TABLE IF NOT EXISTS approvals (
    execution_id uuid NOT NULL,
    ordinal integer NOT NULL,
    version bigint NOT NULL,
    status text NOT NULL,
    workflow text NOT NULL,
    queue text NOT NULL,
    audience uuid[] NOT NULL,
    barred uuid[] NOT NULL,
    requested_at timestamptz NOT NULL,
    due timestamptz NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (execution_id, ordinal)
) WITH (autovacuum_analyze_scale_factor = 0.05, autovacuum_vacuum_scale_factor = 0.1);
-- The text never changes after the request. It is in a separate table, so that a decision does not
-- update its index.
CREATE TABLE IF NOT EXISTS approval_terms (
    execution_id uuid NOT NULL,
    ordinal integer NOT NULL,
    search tsvector NOT NULL,
    PRIMARY KEY (execution_id, ordinal)
) WITH (autovacuum_analyze_scale_factor = 0.05, autovacuum_vacuum_scale_factor = 0.1);
-- name: indexes
CREATE INDEX IF NOT EXISTS approvals_requested
    ON approvals (requested_at, execution_id, ordinal);
CREATE INDEX IF NOT EXISTS approvals_due
    ON approvals (due, requested_at, execution_id, ordinal);
CREATE INDEX IF NOT EXISTS approvals_status_requested
    ON approvals (status, requested_at, execution_id, ordinal);
CREATE INDEX IF NOT EXISTS approvals_status_due
    ON approvals (status, due, requested_at, execution_id, ordinal);
CREATE INDEX IF NOT EXISTS approvals_workflow_requested
    ON approvals (workflow, requested_at, execution_id, ordinal);
CREATE INDEX IF NOT EXISTS approvals_workflow_due
    ON approvals (workflow, due, requested_at, execution_id, ordinal);
CREATE INDEX IF NOT EXISTS approvals_queue_requested
    ON approvals (queue, requested_at, execution_id, ordinal);
CREATE INDEX IF NOT EXISTS approvals_pending_workflow
    ON approvals (workflow, requested_at, execution_id, ordinal) WHERE status = 'PENDING';
CREATE INDEX IF NOT EXISTS approvals_pending_queue
    ON approvals (queue, requested_at, execution_id, ordinal) WHERE status = 'PENDING';
CREATE INDEX IF NOT EXISTS approvals_audience ON approvals USING gin (audience);
CREATE INDEX IF NOT EXISTS approvals_pending_audience
    ON approvals USING gin (audience) WHERE status = 'PENDING';
CREATE INDEX IF NOT EXISTS approval_terms_search ON approval_terms USING gin (search);
-- name: upsert
WITH moved AS (
    UPDATE projection_positions SET position = %(position)s
    WHERE name = 'approvals' AND position = %(after)s
    RETURNING position
), heads AS (
    INSERT INTO approvals AS old (
        execution_id, ordinal, version, status, workflow, queue, audience, barred, requested_at,
        due, body
    )
    SELECT new.execution_id, new.ordinal, new.version, new.status, new.workflow, new.queue,
        new.audience::uuid[], new.barred::uuid[], new.requested_at,
        coalesce(new.deadline, 'infinity'), new.body
    FROM moved, unnest(
        %(execution_id)b::uuid[], %(ordinal)b::integer[], %(version)b::bigint[],
        %(status)b::text[], %(workflow)b::text[], %(queue)b::text[], %(audience)b::text[],
        %(barred)b::text[], %(requested_at)b::timestamptz[], %(deadline)b::timestamptz[],
        %(body)b::bytea[]
    ) AS new (
        execution_id, ordinal, version, status, workflow, queue, audience, barred, requested_at,
        deadline, body
    )
    ON CONFLICT (execution_id, ordinal) DO UPDATE SET
        version = excluded.version,
        status = excluded.status,
        audience = excluded.audience,
        barred = excluded.barred,
        body = excluded.body
), terms AS (
    INSERT INTO approval_terms AS old (execution_id, ordinal, search)
    SELECT new.execution_id, new.ordinal, to_tsvector('simple', new.document)
    FROM moved, unnest(
        %(term_execution_id)b::uuid[], %(term_ordinal)b::integer[], %(document)b::text[]
    ) AS new (execution_id, ordinal, document)
    ON CONFLICT (execution_id, ordinal) DO UPDATE SET search = excluded.search
)
SELECT count(*) FROM moved
-- name: stored
-- A time that Python does not have becomes NULL or the first one, which are never right.
SELECT execution_id, ordinal, version, status, workflow, queue, audience::text, barred::text,
    CASE WHEN requested_at >= '0001-01-01' AND requested_at < '10000-01-01' THEN requested_at END
        AS requested_at,
    CASE WHEN due = 'infinity' THEN NULL WHEN due >= '0001-01-01' AND due < '10000-01-01' THEN due
        ELSE '0001-01-01' END AS deadline,
    body
FROM approvals WHERE execution_id = ANY (%(ids)s)
-- name: other_terms
SELECT new.execution_id, new.ordinal
FROM unnest(%(term_execution_id)b::uuid[], %(term_ordinal)b::integer[], %(document)b::text[])
    AS new (execution_id, ordinal, document)
LEFT JOIN approval_terms AS old USING (execution_id, ordinal)
WHERE old.search IS DISTINCT FROM to_tsvector('simple', new.document)
-- name: strays
SELECT execution_id, false AS logged FROM approvals AS row
WHERE NOT EXISTS (SELECT FROM execution_events AS e WHERE e.originator_id = row.execution_id)
UNION
SELECT execution_id, true FROM approval_terms AS row WHERE NOT EXISTS (
    SELECT FROM approvals AS a
    WHERE (a.execution_id, a.ordinal) = (row.execution_id, row.ordinal)
)
