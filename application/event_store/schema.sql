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
END $$;
CREATE INDEX IF NOT EXISTS execution_holds_free ON execution_holds (queue, sequence)
    WHERE worker IS NULL AND (progress OR woken_version > released_version);
CREATE INDEX IF NOT EXISTS execution_holds_held ON execution_holds (owner, worker, execution_id)
    WHERE worker IS NOT NULL;

-- A lease belongs to a worker and covers all that it holds. The stream is the one that keeps it,
-- NULL if none does.
CREATE TABLE IF NOT EXISTS worker_leases (
    owner text NOT NULL,
    worker text NOT NULL,
    expires_at timestamptz NOT NULL,
    stream uuid,
    PRIMARY KEY (owner, worker)
);
DO $$ DECLARE
    late record;
BEGIN
    -- Only where it is missing: an ALTER with nothing to do still waits for everyone who reads the
    -- table, a backup say, and all others behind it.
    FOR late IN
        SELECT * FROM (VALUES
            ('execution_holds'::regclass, 'fence', 'bigint'),
            ('worker_leases'::regclass, 'stream', 'uuid')
        ) AS columns (relation, name, type) WHERE NOT EXISTS (
            SELECT FROM pg_attribute WHERE attrelid = relation AND attname = name
        )
    LOOP
        EXECUTE format(
            'ALTER TABLE %s ADD COLUMN IF NOT EXISTS %I %s', late.relation, late.name, late.type
        );
    END LOOP;
END $$;
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

-- How far each follower of the log has come: the read models, and the process manager of children.
CREATE TABLE IF NOT EXISTS projection_positions (
    name text PRIMARY KEY,
    position bigint NOT NULL,
    version integer NOT NULL
);
DO $$ BEGIN
    IF EXISTS (SELECT FROM projection_positions WHERE name = 'children') THEN
        RETURN;
    END IF;
    -- Where servers of version 0.1.0 kept it.
    IF to_regclass('family_position') IS NOT NULL THEN
        INSERT INTO projection_positions SELECT 'children', position, 1 FROM family_position;
    ELSE
        INSERT INTO projection_positions
        SELECT 'children', coalesce(max(notification_id), 0), 1 FROM execution_events;
    END IF;
END $$;

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

-- What a commit changes in the tables above, see side_tables.py. Each of these is an array.
CREATE OR REPLACE FUNCTION write_side_tables(side_tables jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF side_tables ? 'started' THEN
        INSERT INTO start_keys (owner, workflow, key, execution_id)
        SELECT owner, workflow, key, execution_id
        FROM jsonb_to_recordset(side_tables -> 'started')
            AS b (owner text, workflow text, key text, execution_id uuid);
    END IF;
    IF side_tables ? 'ended' THEN
        DELETE FROM execution_holds AS h
        USING jsonb_array_elements_text(side_tables -> 'ended') AS b (id) WHERE h.execution_id = b.id::uuid;
    END IF;
    IF side_tables ? 'holds' THEN
        INSERT INTO execution_holds (execution_id, queue, progress, woken_version)
        SELECT execution_id, queue, progress, woken_version
        FROM jsonb_to_recordset(side_tables -> 'holds')
            AS b (execution_id uuid, queue text, progress boolean, woken_version bigint)
        ON CONFLICT (execution_id) DO UPDATE
        SET progress = EXCLUDED.progress, woken_version = EXCLUDED.woken_version;
    END IF;
    IF side_tables ? 'parked' THEN
        UPDATE execution_holds AS h SET owner = NULL, worker = NULL, released_version = 0
        FROM jsonb_array_elements_text(side_tables -> 'parked') AS b (id) WHERE h.execution_id = b.id::uuid;
    END IF;
    IF side_tables ? 'claimed' THEN
        UPDATE execution_holds AS h SET owner = b.owner, worker = b.worker, fence = b.fence
        FROM jsonb_to_recordset(side_tables -> 'claimed')
            AS b (execution_id uuid, owner text, worker text, fence bigint)
        WHERE h.execution_id = b.execution_id;
    END IF;
    IF side_tables ? 'lost' THEN
        INSERT INTO lost_holds (owner, worker, execution_id)
        SELECT owner, worker, execution_id FROM jsonb_to_recordset(side_tables -> 'lost')
            AS b (owner text, worker text, execution_id uuid)
        ON CONFLICT DO NOTHING;
    END IF;
    IF side_tables ? 'timers_dropped' THEN
        DELETE FROM execution_timers AS t
        USING jsonb_to_recordset(side_tables -> 'timers_dropped') AS b (execution_id uuid, key text)
        WHERE (t.execution_id, t.key) = (b.execution_id, b.key);
    END IF;
    IF side_tables ? 'timers' THEN
        INSERT INTO execution_timers (execution_id, key, fires_at)
        SELECT execution_id, key, fires_at FROM jsonb_to_recordset(side_tables -> 'timers')
            AS b (execution_id uuid, key text, fires_at timestamptz);
    END IF;
END $$;
