-- name: tables
CREATE TABLE IF NOT EXISTS events (
    position bigint NOT NULL,
    execution_id uuid NOT NULL,
    at timestamptz NOT NULL,
    actor uuid NOT NULL,
    type text NOT NULL,
    queue text NOT NULL,
    workflow uuid NOT NULL
);
-- The earliest and the latest time in each block of positions. Times of different executions may be
-- out of order, if the clock was wrong once. So a time is found by its blocks, not by an index.
CREATE TABLE IF NOT EXISTS event_times (
    block bigint PRIMARY KEY,
    earliest timestamptz NOT NULL,
    latest timestamptz NOT NULL
) WITH (fillfactor = 50);
-- name: indexes
-- The one by position alone is a hash index, which finds a row but gives no order. Otherwise the
-- planner would walk along all events after a position in order to find those of one actor.
CREATE INDEX IF NOT EXISTS events_position ON events USING hash (position);
CREATE INDEX IF NOT EXISTS events_actor ON events (actor, position);
CREATE INDEX IF NOT EXISTS events_actor_type ON events (actor, type, position);
CREATE INDEX IF NOT EXISTS events_type ON events (type, position);
CREATE INDEX IF NOT EXISTS events_queue ON events (queue, position);
CREATE INDEX IF NOT EXISTS events_workflow ON events (workflow, position);
-- name: upsert
WITH moved AS (
    UPDATE projection_positions SET position = %(position)s
    WHERE name = 'events' AND position = %(after)s
    RETURNING position
), rows AS (
    SELECT new.*
    FROM moved, unnest(
        %(event_position)b::bigint[], %(execution_id)b::uuid[], %(at)b::timestamptz[],
        %(actor)b::uuid[], %(type)b::text[], %(queue)b::text[], %(workflow)b::uuid[],
        %(block)b::bigint[]
    ) AS new (position, execution_id, at, actor, type, queue, workflow, block)
), inserted AS (
    INSERT INTO events (position, execution_id, at, actor, type, queue, workflow)
    SELECT position, execution_id, at, actor, type, queue, workflow FROM rows
), times AS (
    INSERT INTO event_times AS old (block, earliest, latest)
    SELECT block, min(at), max(at) FROM rows GROUP BY block
    ON CONFLICT (block) DO UPDATE SET
        earliest = least(old.earliest, excluded.earliest),
        latest = greatest(old.latest, excluded.latest)
)
SELECT count(*) FROM moved
-- name: stored
-- A time that Python does not have becomes NULL, which is never right.
SELECT row.position AS event_position, row.execution_id,
    CASE WHEN row.at >= '0001-01-01' AND row.at < '10000-01-01' THEN row.at END AS at,
    row.actor, row.type, row.queue, row.workflow
FROM execution_events AS e JOIN events AS row ON row.position = e.notification_id
WHERE e.originator_id = ANY (%(ids)s)
    AND e.notification_id <= (SELECT position FROM projection_positions WHERE name = 'events')
-- name: other_terms
SELECT new.execution_id, new.position
FROM unnest(
    %(execution_id)b::uuid[], %(event_position)b::bigint[], %(at)b::timestamptz[], %(block)b::bigint[]
) AS new (execution_id, position, at, block)
LEFT JOIN event_times AS old ON old.block = new.block
WHERE (new.at BETWEEN old.earliest AND old.latest) IS NOT TRUE
-- name: strays
SELECT execution_id, false AS logged FROM events AS row
WHERE NOT EXISTS (
    SELECT FROM execution_events AS e
    WHERE (e.notification_id, e.originator_id) = (row.position, row.execution_id)
)
