-- name: tables
-- due is the deadline, or infinity if there is none, so that one comparison orders all rows.
-- pending_until is infinity while the approval is pending. lasted is the class of the time from the
-- request until then, see span_classes.py.
CREATE TABLE IF NOT EXISTS approvals (
    execution_id uuid NOT NULL,
    ordinal integer NOT NULL,
    version bigint NOT NULL,
    status text NOT NULL,
    workflow text NOT NULL,
    queue text NOT NULL,
    audience uuid[] NOT NULL,
    deciders uuid[] NOT NULL,
    barred uuid[] NOT NULL,
    requested_at timestamptz NOT NULL,
    due timestamptz NOT NULL,
    pending_until timestamptz NOT NULL,
    lasted smallint NOT NULL,
    asked text NOT NULL,
    outcome text,
    ended_on date,
    took smallint,
    escalated_on date,
    body bytea NOT NULL,
    PRIMARY KEY (execution_id, ordinal)
) WITH (autovacuum_analyze_scale_factor = 0.05, autovacuum_vacuum_scale_factor = 0.1);
-- How many approvals ended in which way on a day, see statistics.py. It follows from the columns
-- outcome to escalated_on of the table above, and is written in the statement that writes them.
CREATE TABLE IF NOT EXISTS approval_days (
    day date NOT NULL,
    workflow text NOT NULL,
    outcome text NOT NULL,
    took smallint NOT NULL,
    number bigint NOT NULL,
    PRIMARY KEY (day, workflow, outcome, took)
) WITH (fillfactor = 50);
-- The text changes only by an amendment. It is in a separate table, so that a decision does not
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
CREATE INDEX IF NOT EXISTS approvals_lasted
    ON approvals (lasted, requested_at, execution_id, ordinal, pending_until);
CREATE INDEX IF NOT EXISTS approvals_audience ON approvals USING gin (audience);
CREATE INDEX IF NOT EXISTS approvals_pending_deciders
    ON approvals USING gin (deciders) WHERE status = 'PENDING';
CREATE INDEX IF NOT EXISTS approval_terms_search ON approval_terms USING gin (search);
-- name: upsert
WITH moved AS (
    UPDATE projection_positions SET position = %(position)s
    WHERE name = 'approvals' AND position = %(after)s
    RETURNING position
), new AS (
    SELECT new.* FROM moved, unnest(
        %(execution_id)b::uuid[], %(ordinal)b::integer[], %(version)b::bigint[],
        %(status)b::text[], %(workflow)b::text[], %(queue)b::text[], %(audience)b::text[],
        %(deciders)b::text[], %(barred)b::text[], %(requested_at)b::timestamptz[], %(deadline)b::timestamptz[],
        %(pending_until)b::timestamptz[], %(lasted)b::smallint[], %(asked)b::text[],
        %(outcome)b::text[], %(ended_on)b::date[], %(took)b::smallint[], %(escalated_on)b::date[],
        %(body)b::bytea[]
    ) AS new (
        execution_id, ordinal, version, status, workflow, queue, audience, deciders, barred,
        requested_at, deadline, pending_until, lasted, asked, outcome, ended_on, took,
        escalated_on, body
    )
), heads AS (
    INSERT INTO approvals AS old (
        execution_id, ordinal, version, status, workflow, queue, audience, deciders, barred,
        requested_at, due, pending_until, lasted, asked, outcome, ended_on, took, escalated_on, body
    )
    SELECT execution_id, ordinal, version, status, workflow, queue, audience::uuid[],
        deciders::uuid[], barred::uuid[], requested_at, coalesce(deadline, 'infinity'),
        coalesce(pending_until, 'infinity'), lasted, asked, outcome, ended_on, took,
        escalated_on, body
    FROM new
    ON CONFLICT (execution_id, ordinal) DO UPDATE SET
        version = excluded.version,
        status = excluded.status,
        audience = excluded.audience,
        deciders = excluded.deciders,
        barred = excluded.barred,
        due = excluded.due,
        pending_until = excluded.pending_until,
        lasted = excluded.lasted,
        asked = excluded.asked,
        outcome = excluded.outcome,
        ended_on = excluded.ended_on,
        took = excluded.took,
        escalated_on = excluded.escalated_on,
        body = excluded.body
), old AS (
    -- The rows as they were before: all parts of a statement see the tables as at its beginning.
    SELECT a.workflow, a.outcome, a.ended_on, a.took, a.escalated_on
    FROM new JOIN approvals AS a USING (execution_id, ordinal)
    WHERE a.outcome IS NOT NULL OR a.escalated_on IS NOT NULL
), days AS (
    INSERT INTO approval_days AS old (day, workflow, outcome, took, number)
    SELECT day, workflow, outcome, took, sum(number) FROM (
        SELECT ended_on AS day, workflow, outcome, took, 1 AS number FROM new
        UNION ALL SELECT ended_on, workflow, outcome, took, -1 FROM old
        UNION ALL SELECT escalated_on, workflow, 'ESCALATED', 0, 1 FROM new
        UNION ALL SELECT escalated_on, workflow, 'ESCALATED', 0, -1 FROM old
    ) AS changes WHERE day IS NOT NULL
    GROUP BY day, workflow, outcome, took HAVING sum(number) <> 0
    ON CONFLICT (day, workflow, outcome, took) DO UPDATE SET number = old.number + excluded.number
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
SELECT execution_id, ordinal, version, status, workflow, queue, audience::text, deciders::text, barred::text,
    CASE WHEN requested_at >= '0001-01-01' AND requested_at < '10000-01-01' THEN requested_at END
        AS requested_at,
    CASE WHEN due = 'infinity' THEN NULL WHEN due >= '0001-01-01' AND due < '10000-01-01' THEN due
        ELSE '0001-01-01' END AS deadline,
    CASE WHEN pending_until = 'infinity' THEN NULL
        WHEN pending_until >= '0001-01-01' AND pending_until < '10000-01-01' THEN pending_until
        ELSE '0001-01-01' END AS pending_until,
    lasted, asked, outcome, ended_on, took, escalated_on, body
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
-- name: other_totals
SELECT count(*) FROM (
    SELECT day, workflow, outcome, took, sum(number) AS number FROM (
        SELECT ended_on AS day, workflow, outcome, took, 1 AS number FROM approvals
        UNION ALL SELECT escalated_on, workflow, 'ESCALATED', 0, 1 FROM approvals
    ) AS ends WHERE day IS NOT NULL GROUP BY day, workflow, outcome, took
) AS expected
FULL JOIN approval_days AS found USING (day, workflow, outcome, took)
WHERE coalesce(expected.number, 0) <> coalesce(found.number, 0)
