-- Sessions of the console. A row has the API key or the made-up person of development mode that was
-- signed in with, not what they may do: that is looked up at each request. Of somebody who signed in
-- at a provider, identity has what the provider said then. A token has 256 random bits, so its plain
-- SHA-256 does not reveal it. draft has what was typed and could not be sent before signing in.
CREATE TABLE IF NOT EXISTS console_sessions (
    token_hash bytea PRIMARY KEY,
    api_key text,
    key_hash bytea,
    person text,
    identity jsonb,
    draft jsonb,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ends_at timestamptz NOT NULL,
    CONSTRAINT console_sessions_one CHECK (num_nonnulls(api_key, person, identity) = 1)
);
CREATE INDEX IF NOT EXISTS console_sessions_end ON console_sessions (ends_at);
DO $$ BEGIN
    -- Only if it is missing: an ALTER that changes nothing still waits for all readers of the table.
    IF NOT EXISTS (
        SELECT FROM pg_attribute
        WHERE attrelid = 'console_sessions'::regclass AND attname = 'key_hash'
    ) THEN
        ALTER TABLE console_sessions ADD COLUMN IF NOT EXISTS key_hash bytea;
    END IF;
    IF NOT EXISTS (
        SELECT FROM pg_attribute
        WHERE attrelid = 'console_sessions'::regclass AND attname = 'identity'
    ) THEN
        ALTER TABLE console_sessions ADD COLUMN IF NOT EXISTS identity jsonb,
            DROP CONSTRAINT IF EXISTS console_sessions_check,
            DROP CONSTRAINT IF EXISTS console_sessions_one,
            ADD CONSTRAINT console_sessions_one
                CHECK (num_nonnulls(api_key, person, identity) = 1);
    END IF;
END $$;
