-- Browsers that show messages of web push. id is the SHA-256 of the endpoint in hexadecimal. p256dh
-- and auth are the keys of the browser to encrypt with.
CREATE TABLE IF NOT EXISTS push_subscriptions (
    id text PRIMARY KEY,
    person text NOT NULL,
    endpoint text NOT NULL,
    p256dh bytea NOT NULL,
    auth bytea NOT NULL,
    user_agent text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX IF NOT EXISTS push_subscriptions_person ON push_subscriptions (person, created_at);

-- Browsers take messages only from the key with which they subscribed, so it is made once.
INSERT INTO server_secrets
SELECT 'web_push', uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())
WHERE NOT EXISTS (SELECT FROM server_secrets WHERE name = 'web_push')
ON CONFLICT DO NOTHING;
