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
-- workflow is NULL in a row that an older server wrote; any worker may then claim the execution.
CREATE TABLE IF NOT EXISTS execution_holds (
    execution_id uuid PRIMARY KEY,
    queue text NOT NULL,
    progress boolean NOT NULL,
    woken_version bigint NOT NULL DEFAULT 0,
    released_version bigint NOT NULL DEFAULT 0,
    owner text,
    worker text,
    fence bigint,
    workflow text,
    workflow_version text,
    cancel_requested_at timestamptz,
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
CREATE INDEX IF NOT EXISTS execution_holds_held ON execution_holds (owner, worker, execution_id)
    WHERE worker IS NOT NULL;

-- A lease belongs to a worker and covers everything that it holds. lasts is for how long it was
-- given: one that ends later than that was renewed while the clock was wrong, and is over. stream is the stream that renews
-- it, NULL if there is none. queues and workflows are what the worker takes, as it said last:
-- workflows is an array of [name, version], and a version of null means any. NULL: all.
CREATE TABLE IF NOT EXISTS worker_leases (
    owner text NOT NULL,
    worker text NOT NULL,
    expires_at timestamptz NOT NULL,
    lasts interval,
    stream uuid,
    queues text[],
    workflows jsonb,
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
            ('execution_holds'::regclass, 'workflow', 'text'),
            ('execution_holds'::regclass, 'workflow_version', 'text'),
            ('execution_holds'::regclass, 'cancel_requested_at', 'timestamptz'),
            ('worker_leases'::regclass, 'lasts', 'interval'),
            ('worker_leases'::regclass, 'stream', 'uuid'),
            ('worker_leases'::regclass, 'queues', 'text[]'),
            ('worker_leases'::regclass, 'workflows', 'jsonb'),
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
-- The workflow is in the index so that a worker that does not know it skips the row there.
CREATE INDEX IF NOT EXISTS execution_holds_claimable ON execution_holds (queue, sequence, workflow)
    WHERE worker IS NULL AND (progress OR woken_version > released_version);
DROP INDEX IF EXISTS execution_holds_free;
CREATE INDEX IF NOT EXISTS execution_holds_cancelling ON execution_holds (cancel_requested_at)
    WHERE cancel_requested_at IS NOT NULL;
-- The rows that older servers wrote.
DO $$ BEGIN
    UPDATE execution_holds AS h
    SET workflow = started.data ->> 'workflow', workflow_version = started.data ->> 'workflowVersion'
    FROM (
        SELECT originator_id, convert_from(state, 'UTF8')::jsonb -> 'data' AS data
        FROM execution_events WHERE originator_version = 1
            AND originator_id IN (SELECT execution_id FROM execution_holds WHERE workflow IS NULL)
    ) AS started
    WHERE h.execution_id = started.originator_id AND h.workflow IS NULL;
EXCEPTION WHEN data_exception THEN
    -- An event is damaged. Rows without a workflow are offered to every worker.
    RAISE WARNING 'workflows of older rows of execution_holds stay unknown: %', SQLERRM;
END $$;
CREATE INDEX IF NOT EXISTS execution_timers_due ON execution_timers (fires_at);

-- The standing grants that are not revoked and have uses left. Those that have expired are deleted
-- when the process manager of standing grants begins to lead.
CREATE TABLE IF NOT EXISTS open_standing_grants (
    grant_id uuid PRIMARY KEY,
    expires_at timestamptz NOT NULL
);

-- The position in the log that each follower has reached: the read models, and the process managers
-- of children and of standing grants.
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

-- No event before this version of the tables is about a standing grant.
INSERT INTO projection_positions
SELECT 'standing_grant_uses', coalesce((SELECT max(notification_id) FROM execution_events), 0), 1
WHERE NOT EXISTS (SELECT FROM projection_positions WHERE name = 'standing_grant_uses')
ON CONFLICT DO NOTHING;

-- Executions with an event that a read model could not project, because it can't be read or folded.
-- Their rows in that read model are as they were before this event.
CREATE TABLE IF NOT EXISTS projection_failures (
    model text NOT NULL,
    execution_id uuid NOT NULL,
    version bigint NOT NULL,
    position bigint NOT NULL,
    reason text NOT NULL,
    PRIMARY KEY (model, execution_id)
);

-- Secret keys of the servers. The one for snapshots is generated here.
CREATE TABLE IF NOT EXISTS server_secrets (name text PRIMARY KEY, value bytea NOT NULL);
INSERT INTO server_secrets
SELECT 'snapshots', uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())
WHERE NOT EXISTS (SELECT FROM server_secrets WHERE name = 'snapshots')
ON CONFLICT DO NOTHING;

-- The digests of the definitions that were applied completely. A server whose role may not create
-- tables looks here whether it can use them.
CREATE TABLE IF NOT EXISTS applied_schemas (
    digest text PRIMARY KEY,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- API keys. A token has 256 random bits, so its plain SHA-256 does not reveal it. generation counts the
-- tokens of a key; previous_hash is that of the token before, which is valid until previous_until.
CREATE TABLE IF NOT EXISTS api_keys (
    name text PRIMARY KEY,
    owner text NOT NULL,
    roles text[] NOT NULL,
    groups text[] NOT NULL,
    queues text[],
    token_hash bytea NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz,
    revoked_at timestamptz,
    created_by text,
    revoked_by text,
    last_used_at timestamptz,
    generation integer NOT NULL DEFAULT 1,
    rotated_at timestamptz,
    rotated_by text,
    previous_hash bytea,
    previous_until timestamptz
);
-- Columns that older servers did not make. As above, only if one is missing.
DO $$ DECLARE
    late record;
BEGIN
    FOR late IN
        SELECT * FROM (VALUES
            ('created_by', 'text'), ('revoked_by', 'text'), ('last_used_at', 'timestamptz'),
            ('generation', 'integer NOT NULL DEFAULT 1'), ('rotated_at', 'timestamptz'),
            ('rotated_by', 'text'), ('previous_hash', 'bytea'), ('previous_until', 'timestamptz')
        ) AS columns (name, type) WHERE NOT EXISTS (
            SELECT FROM pg_attribute
            WHERE attrelid = 'api_keys'::regclass AND attname = name
        )
    LOOP
        EXECUTE format('ALTER TABLE api_keys ADD COLUMN IF NOT EXISTS %I %s', late.name, late.type);
    END LOOP;
END $$;
CREATE UNIQUE INDEX IF NOT EXISTS api_keys_previous ON api_keys (previous_hash)
    WHERE previous_hash IS NOT NULL;

-- The people of the directory, as their events say. last_seen_at is when they were last seen to use
-- a token, to within a minute; no event says so. folded_emails are the addresses without case.
CREATE TABLE IF NOT EXISTS people (
    stream_id uuid PRIMARY KEY,
    id text NOT NULL UNIQUE,
    name text,
    emails text[] NOT NULL,
    folded_emails text[] NOT NULL,
    groups text[] NOT NULL,
    roles text[] NOT NULL,
    active boolean NOT NULL,
    source text NOT NULL,
    external_id text,
    provisioned_id uuid,
    details jsonb,
    last_seen_at timestamptz
);
CREATE INDEX IF NOT EXISTS people_groups ON people USING gin (groups) WITH (fastupdate = off);
CREATE INDEX IF NOT EXISTS people_emails ON people USING gin (folded_emails)
    WITH (fastupdate = off);
CREATE INDEX IF NOT EXISTS people_external_id ON people (external_id) WHERE external_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS people_provisioned_id ON people (provisioned_id)
    WHERE provisioned_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS people_user_name ON people (lower(details ->> 'userName'))
    WHERE provisioned_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS people_inactive ON people (id) WHERE NOT active;

-- The calendars that were in force last. definition is NULL for one that is not any more.
CREATE TABLE IF NOT EXISTS calendars (
    stream_id uuid PRIMARY KEY,
    name text NOT NULL,
    definition jsonb
);

-- The groups that SCIM has made. Who is in one is in the events of the people: a group without members
-- gives nobody anything.
CREATE TABLE IF NOT EXISTS scim_groups (
    id uuid PRIMARY KEY,
    name text NOT NULL UNIQUE,
    details jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Who decides in a person's absence. groups of NULL means all of the person. Rows stay after
-- ends_at; those that were ended early are deleted.
CREATE TABLE IF NOT EXISTS substitutes (
    stream_id uuid NOT NULL,
    number integer NOT NULL,
    person text NOT NULL,
    substitute text NOT NULL,
    groups text[],
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    set_by text NOT NULL,
    PRIMARY KEY (stream_id, number)
);
CREATE INDEX IF NOT EXISTS substitutes_by_substitute ON substitutes (substitute, ends_at);
CREATE INDEX IF NOT EXISTS substitutes_in_order
    ON substitutes (person COLLATE "C", number);
CREATE INDEX IF NOT EXISTS substitutes_by_end ON substitutes (ends_at);
CREATE INDEX IF NOT EXISTS substitutes_by_person ON substitutes (person, ends_at);

-- Programs of others that are told of the events of approvals. Their secrets are here as they are,
-- because messages are signed with them; a deleted one has none. previous_secret is the one before, with
-- which messages are signed too until previous_until. A webhook gets the events after since_position.
CREATE TABLE IF NOT EXISTS webhooks (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    url text NOT NULL,
    types text[] NOT NULL,
    workflows text[] NOT NULL,
    groups text[] NOT NULL,
    include_payload boolean NOT NULL,
    since_position bigint NOT NULL,
    secret text,
    previous_secret text,
    previous_until timestamptz,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by text,
    rotated_at timestamptz,
    rotated_by text,
    deleted_at timestamptz,
    deleted_by text,
    disabled_at timestamptz,
    disabled_reason text
);
CREATE UNIQUE INDEX IF NOT EXISTS webhooks_name ON webhooks (name) WHERE deleted_at IS NULL;

-- Writes the rows of one commit, see side_tables.py. Each member of side_tables is an array.
CREATE OR REPLACE FUNCTION write_side_tables_v8(side_tables jsonb) RETURNS void LANGUAGE plpgsql AS $$
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
        INSERT INTO execution_holds (
            execution_id, queue, progress, woken_version, workflow, workflow_version,
            cancel_requested_at
        )
        SELECT execution_id, queue, progress, woken_version, workflow, workflow_version,
            cancel_requested_at
        FROM jsonb_to_recordset(side_tables -> 'holds') AS b (
            execution_id uuid, queue text, progress boolean, woken_version bigint, workflow text,
            workflow_version text, cancel_requested_at timestamptz
        )
        ON CONFLICT (execution_id) DO UPDATE
        SET progress = EXCLUDED.progress, woken_version = EXCLUDED.woken_version,
            cancel_requested_at = EXCLUDED.cancel_requested_at;
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
    IF side_tables ? 'grants_closed' THEN
        DELETE FROM open_standing_grants AS g
        USING jsonb_array_elements_text(side_tables -> 'grants_closed') AS b (id) WHERE g.grant_id = b.id::uuid;
    END IF;
    IF side_tables ? 'grants_opened' THEN
        INSERT INTO open_standing_grants (grant_id, expires_at)
        SELECT grant_id, expires_at FROM jsonb_to_recordset(side_tables -> 'grants_opened')
            AS b (grant_id uuid, expires_at timestamptz)
        ON CONFLICT DO NOTHING;
    END IF;
    IF side_tables ? 'people' THEN
        INSERT INTO people (
            stream_id, id, name, emails, folded_emails, groups, roles, active, source, external_id,
            provisioned_id, details
        )
        SELECT stream_id, id, name, emails, folded_emails, groups, roles, active, source, external_id,
            provisioned_id, details
        FROM jsonb_to_recordset(side_tables -> 'people') AS b (
            stream_id uuid, id text, name text, emails text[], folded_emails text[], groups text[],
            roles text[], active boolean, source text, external_id text, provisioned_id uuid,
            details jsonb
        )
        ON CONFLICT (stream_id) DO UPDATE
        SET name = EXCLUDED.name, emails = EXCLUDED.emails, folded_emails = EXCLUDED.folded_emails,
            groups = EXCLUDED.groups, roles = EXCLUDED.roles, active = EXCLUDED.active,
            source = EXCLUDED.source, external_id = EXCLUDED.external_id,
            provisioned_id = EXCLUDED.provisioned_id, details = EXCLUDED.details;
    END IF;
    IF side_tables ? 'substitutes_ended' THEN
        DELETE FROM substitutes AS s
        USING jsonb_to_recordset(side_tables -> 'substitutes_ended')
            AS b (stream_id uuid, number integer)
        WHERE (s.stream_id, s.number) = (b.stream_id, b.number);
    END IF;
    IF side_tables ? 'substitutes' THEN
        INSERT INTO substitutes (
            stream_id, number, person, substitute, groups, starts_at, ends_at, set_by
        )
        SELECT stream_id, number, person, substitute, groups, starts_at, ends_at, set_by
        FROM jsonb_to_recordset(side_tables -> 'substitutes') AS b (
            stream_id uuid, number integer, person text, substitute text, groups text[],
            starts_at timestamptz, ends_at timestamptz, set_by text
        );
    END IF;
    IF side_tables ? 'calendars' THEN
        INSERT INTO calendars (stream_id, name, definition)
        SELECT stream_id, name, definition FROM jsonb_to_recordset(side_tables -> 'calendars')
            AS b (stream_id uuid, name text, definition jsonb)
        ON CONFLICT (stream_id) DO UPDATE SET definition = EXCLUDED.definition;
    END IF;
    IF side_tables ? 'api_keys' THEN
        INSERT INTO api_keys (
            name, owner, roles, groups, queues, token_hash, created_at, expires_at, revoked_at,
            created_by, revoked_by, generation, rotated_at, rotated_by, previous_hash, previous_until
        )
        SELECT name, owner, roles, groups, queues, decode(token_hash, 'hex'), created_at, expires_at,
            revoked_at, created_by, revoked_by, generation, rotated_at, rotated_by,
            decode(previous_hash, 'hex'), previous_until
        FROM jsonb_to_recordset(side_tables -> 'api_keys') AS b (
            name text, owner text, roles text[], groups text[], queues text[], token_hash text,
            created_at timestamptz, expires_at timestamptz, revoked_at timestamptz, created_by text,
            revoked_by text, generation integer, rotated_at timestamptz, rotated_by text,
            previous_hash text, previous_until timestamptz
        )
        ON CONFLICT (name) DO UPDATE
        SET token_hash = EXCLUDED.token_hash, revoked_at = EXCLUDED.revoked_at,
            revoked_by = EXCLUDED.revoked_by, generation = EXCLUDED.generation,
            rotated_at = EXCLUDED.rotated_at, rotated_by = EXCLUDED.rotated_by,
            previous_hash = EXCLUDED.previous_hash, previous_until = EXCLUDED.previous_until;
    END IF;
END $$;

-- What people and other systems must be told, see application/notifications/. The id follows from the
-- event, so that no event makes a message twice. A message is tried when it is due, and while it is
-- tried due_at is when another try may begin at the latest. claimed_by is the leadership that tries it.
-- A message with a digest_id is not sent by itself but in that digest. give_up_at is set by the first try,
-- and after it there is no other.
CREATE TABLE IF NOT EXISTS outbox_messages (
    id uuid PRIMARY KEY,
    kind text NOT NULL,
    recipient text NOT NULL,
    channel text NOT NULL,
    execution_id uuid,
    ordinal integer,
    version bigint NOT NULL,
    position bigint NOT NULL,
    status text NOT NULL DEFAULT 'WAITING',
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    due_at timestamptz NOT NULL,
    give_up_at timestamptz,
    digest_id uuid,
    tries integer NOT NULL DEFAULT 0,
    claimed_by uuid,
    ended_at timestamptz,
    last_error text,
    channel_reference text
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05);
CREATE INDEX IF NOT EXISTS outbox_messages_due ON outbox_messages (channel, due_at)
    WHERE status = 'WAITING' AND digest_id IS NULL;
CREATE INDEX IF NOT EXISTS outbox_messages_ended ON outbox_messages (status, ended_at)
    WHERE status <> 'WAITING';
CREATE INDEX IF NOT EXISTS outbox_messages_listed ON outbox_messages (position, id);
CREATE INDEX IF NOT EXISTS outbox_messages_recipient ON outbox_messages (recipient, position, id);
CREATE INDEX IF NOT EXISTS outbox_messages_digest ON outbox_messages (digest_id)
    WHERE digest_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS outbox_messages_referenced ON outbox_messages (execution_id, ordinal)
    WHERE channel_reference IS NOT NULL;

-- Up to where the log was turned into messages, which database that was (see restores.py), and when a
-- leader last was there. The outbox begins at the end of the log: nobody is told of what was before.
CREATE TABLE IF NOT EXISTS outbox_state (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    position bigint NOT NULL,
    database text,
    timeline bigint,
    seen_at timestamptz
);
INSERT INTO outbox_state (position)
SELECT coalesce((SELECT max(notification_id) FROM execution_events), 0)
WHERE NOT EXISTS (SELECT FROM outbox_state)
ON CONFLICT DO NOTHING;

-- How a person wants to be told, as JSON, see application/notifications/preferences.py.
CREATE TABLE IF NOT EXISTS notification_preferences (
    person text PRIMARY KEY,
    preferences jsonb NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
