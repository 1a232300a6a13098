-- name: tables
CREATE TABLE IF NOT EXISTS standing_grants (
    id uuid PRIMARY KEY,
    version bigint NOT NULL,
    owner uuid NOT NULL,
    workflow text NOT NULL,
    revoked boolean NOT NULL,
    used_up boolean NOT NULL,
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    body bytea NOT NULL
);
-- name: indexes
CREATE INDEX IF NOT EXISTS standing_grants_created ON standing_grants (created_at, id);
CREATE INDEX IF NOT EXISTS standing_grants_owner ON standing_grants (owner, created_at, id);
CREATE INDEX IF NOT EXISTS standing_grants_workflow ON standing_grants (workflow, created_at, id);
-- name: upsert
WITH moved AS (
    UPDATE projection_positions SET position = %(position)s
    WHERE name = 'standing_grants' AND position = %(after)s
    RETURNING position
), rows AS (
    INSERT INTO standing_grants (
        id, version, owner, workflow, revoked, used_up, expires_at, created_at, body
    )
    SELECT new.* FROM moved, unnest(
        %(id)b::uuid[], %(version)b::bigint[], %(owner)b::uuid[], %(workflow)b::text[],
        %(revoked)b::boolean[], %(used_up)b::boolean[], %(expires_at)b::timestamptz[],
        %(created_at)b::timestamptz[], %(body)b::bytea[]
    ) AS new
    ON CONFLICT (id) DO UPDATE SET
        version = excluded.version,
        revoked = excluded.revoked,
        used_up = excluded.used_up,
        body = excluded.body
)
SELECT count(*) FROM moved
-- name: stored
-- A time that Python does not have becomes NULL, which is never right.
SELECT id, version, owner, workflow, revoked, used_up,
    CASE WHEN expires_at >= '0001-01-01' AND expires_at < '10000-01-01' THEN expires_at END AS expires_at,
    CASE WHEN created_at >= '0001-01-01' AND created_at < '10000-01-01' THEN created_at END AS created_at,
    body
FROM standing_grants WHERE id = ANY (%(ids)s)
-- name: other_terms
SELECT NULL::uuid WHERE false
-- name: strays
SELECT id, false AS logged FROM standing_grants AS row
WHERE NOT EXISTS (SELECT FROM execution_events AS e WHERE e.originator_id = row.id)
