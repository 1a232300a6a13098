-- Sign-ins that were sent to a provider and have not come back. A row is used once, and by the
-- browser that it was made for. What proves that is derived from a secret that only this browser has.
CREATE TABLE IF NOT EXISTS console_logins (
    state_hash bytea PRIMARY KEY,
    browser_hash bytea NOT NULL,
    issuer text NOT NULL,
    goal text NOT NULL,
    person text,
    draft jsonb,
    begun_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX IF NOT EXISTS console_logins_begun ON console_logins (begun_at);
