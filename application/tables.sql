-- Which execution a start with an idempotency key began.
CREATE TABLE IF NOT EXISTS start_keys (
    owner text NOT NULL,
    workflow text NOT NULL,
    key text NOT NULL,
    execution_id uuid NOT NULL,
    PRIMARY KEY (owner, workflow, key)
);

-- One row for every execution that is not final: what there is to do, and which worker holds it.
-- It can be claimed if nobody holds it and there is progress to make, or something came after what
-- was known when it was released. Of one that is parked the row shows neither. The fence
-- is that of the last claim; NULL if there was none since there is this column.
CREATE TABLE IF NOT EXISTS execution_holds (
    execution_id uuid PRIMARY KEY,
    queue text NOT NULL,
    progress boolean NOT NULL,
    woken_version bigint NOT NULL DEFAULT 0,
    released_version bigint NOT NULL DEFAULT 0,
    owner text,
    worker text,
    fence bigint,
    sequence bigint GENERATED ALWAYS AS IDENTITY
);
DO $$ BEGIN
    IF EXISTS (
        SELECT FROM pg_attribute
        WHERE attrelid = 'execution_holds'::regclass AND attname = 'resolved_version'
    ) THEN
        ALTER TABLE execution_holds RENAME COLUMN resolved_version TO woken_version;
    END IF;
    -- Only where it is missing: an ALTER with nothing to do still waits for everyone who reads the
    -- table, a backup say, and all others behind it.
    IF NOT EXISTS (
        SELECT FROM pg_attribute
        WHERE attrelid = 'execution_holds'::regclass AND attname = 'fence'
    ) THEN
        ALTER TABLE execution_holds ADD COLUMN IF NOT EXISTS fence bigint;
    END IF;
END $$;
CREATE INDEX IF NOT EXISTS execution_holds_free ON execution_holds (queue, sequence)
    WHERE worker IS NULL AND (progress OR woken_version > released_version);
CREATE INDEX IF NOT EXISTS execution_holds_held ON execution_holds (owner, worker, execution_id)
    WHERE worker IS NOT NULL;

-- A lease belongs to a worker and covers all that it holds.
CREATE TABLE IF NOT EXISTS worker_leases (
    owner text NOT NULL,
    worker text NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (owner, worker)
);
CREATE INDEX IF NOT EXISTS worker_leases_expiry ON worker_leases (expires_at);

-- What a worker lost to another one and has not been told of yet.
CREATE TABLE IF NOT EXISTS lost_holds (
    owner text NOT NULL,
    worker text NOT NULL,
    execution_id uuid NOT NULL,
    PRIMARY KEY (owner, worker, execution_id)
);

-- The timers that will still fire, of executions that are not final.
CREATE TABLE IF NOT EXISTS execution_timers (
    execution_id uuid NOT NULL,
    key text NOT NULL,
    fires_at timestamptz NOT NULL,
    PRIMARY KEY (execution_id, key)
);
CREATE INDEX IF NOT EXISTS execution_timers_due ON execution_timers (fires_at);

-- What one process does for all of them, and until when it is this one's.
CREATE TABLE IF NOT EXISTS duties (
    name text PRIMARY KEY,
    holder uuid NOT NULL,
    expires_at timestamptz NOT NULL
);

-- How far the log was read for the sake of parents and children.
CREATE TABLE IF NOT EXISTS family_position (position bigint NOT NULL);
INSERT INTO family_position SELECT coalesce(max(notification_id), 0) FROM execution_events
    HAVING NOT EXISTS (SELECT FROM family_position);

-- API keys. A token is 256 random bits, so its plain SHA-256 can't be turned back into it.
CREATE TABLE IF NOT EXISTS api_keys (
    name text PRIMARY KEY,
    owner text NOT NULL,
    roles text[] NOT NULL,
    groups text[] NOT NULL,
    queues text[],
    token_hash bytea NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz,
    revoked_at timestamptz
);
