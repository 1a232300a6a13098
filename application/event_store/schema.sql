-- Takes the lock of the log until the end of the transaction. Every append takes it.
CREATE OR REPLACE FUNCTION lock_log_v1() RETURNS void LANGUAGE sql AS $$
    SELECT pg_advisory_xact_lock(hashtextextended('public.execution_events', 0))
$$;

-- The hash of an event, as event_codec.py computes it.
CREATE OR REPLACE FUNCTION event_hash_v1(id uuid, version bigint, topic text, state bytea)
RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT encode(sha256(
        uuid_send(id) || int8send(version) || convert_to(topic, 'UTF8') || decode('00', 'hex') || state
    ), 'hex')
$$;

-- Which execution was started with an idempotency key.
CREATE TABLE IF NOT EXISTS start_keys (
    owner text NOT NULL,
    workflow text NOT NULL,
    key text NOT NULL,
    execution_id uuid NOT NULL,
    PRIMARY KEY (owner, workflow, key)
);

-- One row for each execution that is not final: whether there is work to do, and which worker holds
-- it. It can be claimed if no worker holds it, and either progress is true or woken_version is
-- higher than released_version. While it is parked, progress is false and woken_version is 0. The
-- fence is the one of the last claim, NULL if the execution was not claimed since the column exists.
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

-- A lease belongs to a worker and covers everything that it holds. stream is the stream that renews
-- it, NULL if there is none.
CREATE TABLE IF NOT EXISTS worker_leases (
    owner text NOT NULL,
    worker text NOT NULL,
    expires_at timestamptz NOT NULL,
    stream uuid,
    PRIMARY KEY (owner, worker)
);
CREATE INDEX IF NOT EXISTS worker_leases_expiry ON worker_leases (expires_at);

-- Releases those of the executions that the worker holds, or all that it holds if ids is NULL.
-- While the log is locked, nothing is resolved or claimed. The UPDATE is a separate statement after
-- the lock, so it sees what was committed while this function waited for the lock.
CREATE OR REPLACE FUNCTION release_holds_v1(by_owner text, by_worker text, ids uuid[])
RETURNS SETOF uuid LANGUAGE plpgsql AS $$
BEGIN
    PERFORM lock_log_v1();
    RETURN QUERY
    UPDATE execution_holds AS h SET owner = NULL, worker = NULL, released_version = h.woken_version
    WHERE h.owner = by_owner AND h.worker = by_worker AND (ids IS NULL OR h.execution_id = ANY (ids))
    RETURNING h.execution_id;
END $$;

-- The same, with the last woken version that the worker has seen of each execution, and the fence of
-- the claim to release. A hold with a higher fence is a later claim and stays. A hold may have a
-- lower fence, if a server of a version without fences claimed the execution. If others is true, all
-- else that the worker holds is released too, also later claims, with unfinished as the version.
CREATE OR REPLACE FUNCTION release_holds_at_v1(
    by_owner text, by_worker text, ids uuid[], seen bigint[], fences bigint[],
    unfinished bigint, others boolean
) RETURNS SETOF uuid LANGUAGE plpgsql AS $$
BEGIN
    PERFORM lock_log_v1();
    RETURN QUERY
    UPDATE execution_holds AS h
    SET owner = NULL, worker = NULL, released_version = coalesce(given.seen, unfinished)
    FROM execution_holds AS k
    LEFT JOIN unnest(ids, seen, fences) AS given (id, seen, fence)
        ON given.id = k.execution_id
        AND (given.fence IS NULL OR k.fence IS NULL OR given.fence >= k.fence)
    WHERE h.execution_id = k.execution_id AND k.owner = by_owner AND k.worker = by_worker
        AND (given.id IS NOT NULL OR others)
    RETURNING h.execution_id;
END $$;

-- Executions that another worker has claimed, until the worker that lost them is informed.
CREATE TABLE IF NOT EXISTS lost_holds (
    owner text NOT NULL,
    worker text NOT NULL,
    execution_id uuid NOT NULL,
    PRIMARY KEY (owner, worker, execution_id)
);

-- The pending timers of executions that are not final.
CREATE TABLE IF NOT EXISTS execution_timers (
    execution_id uuid NOT NULL,
    key text NOT NULL,
    fires_at timestamptz NOT NULL,
    set_version bigint,
    PRIMARY KEY (execution_id, key)
);
DO $$ DECLARE
    late record;
BEGIN
    -- Only if a column is missing. An ALTER that changes nothing still waits for all readers of the
    -- table, such as a backup, and everything else then waits for the ALTER.
    FOR late IN
        SELECT * FROM (VALUES
            ('execution_holds'::regclass, 'fence', 'bigint'),
            ('worker_leases'::regclass, 'stream', 'uuid'),
            ('execution_timers'::regclass, 'set_version', 'bigint')
        ) AS columns (relation, name, type) WHERE NOT EXISTS (
            SELECT FROM pg_attribute WHERE attrelid = relation AND attname = name
        )
    LOOP
        EXECUTE format(
            'ALTER TABLE %s ADD COLUMN IF NOT EXISTS %I %s', late.relation, late.name, late.type
        );
    END LOOP;
END $$;
CREATE INDEX IF NOT EXISTS execution_timers_due ON execution_timers (fires_at);

-- The position in the log that each follower has reached: the read models, and the process manager
-- of children.
CREATE TABLE IF NOT EXISTS projection_positions (
    name text PRIMARY KEY,
    position bigint NOT NULL,
    version integer NOT NULL
);
DO $$ BEGIN
    IF EXISTS (SELECT FROM projection_positions WHERE name = 'children') THEN
        RETURN;
    END IF;
    -- The table in which servers of version 0.1.0 stored it.
    IF to_regclass('family_position') IS NOT NULL THEN
        INSERT INTO projection_positions SELECT 'children', position, 1 FROM family_position;
    ELSE
        INSERT INTO projection_positions
        SELECT 'children', coalesce(max(notification_id), 0), 1 FROM execution_events;
    END IF;
END $$;

-- Secret keys of the servers. The one for snapshots is generated here.
CREATE TABLE IF NOT EXISTS server_secrets (name text PRIMARY KEY, value bytea NOT NULL);
INSERT INTO server_secrets
SELECT 'snapshots', uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())
WHERE NOT EXISTS (SELECT FROM server_secrets WHERE name = 'snapshots')
ON CONFLICT DO NOTHING;

-- API keys. A token has 256 random bits, so its plain SHA-256 does not reveal it.
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

-- Writes the rows of one commit, see side_tables.py. Each member of side_tables is an array.
CREATE OR REPLACE FUNCTION write_side_tables_v2(side_tables jsonb) RETURNS void LANGUAGE plpgsql AS $$
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
        INSERT INTO execution_timers (execution_id, key, fires_at, set_version)
        SELECT execution_id, key, fires_at, set_version FROM jsonb_to_recordset(side_tables -> 'timers')
            AS b (execution_id uuid, key text, fires_at timestamptz, set_version bigint);
    END IF;
END $$;
