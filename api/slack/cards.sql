-- The cards in Slack that follow the log. recipient is the person whose card it is, NULL for the card
-- of a channel. version is that of the execution which the card was last compared with, and fingerprint
-- that of what it shows. A card is open while something can still change it. due_at is when to compare
-- it again in any case, NULL if only an event makes that necessary.
CREATE TABLE IF NOT EXISTS slack_cards (
    channel text NOT NULL,
    ts text NOT NULL,
    execution_id uuid NOT NULL,
    ordinal integer NOT NULL,
    recipient text,
    version bigint NOT NULL,
    fingerprint text NOT NULL,
    open boolean NOT NULL DEFAULT true,
    due_at timestamptz,
    tries integer NOT NULL DEFAULT 0,
    posted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (channel, ts)
);
CREATE INDEX IF NOT EXISTS slack_cards_approval ON slack_cards (execution_id, ordinal);
CREATE INDEX IF NOT EXISTS slack_cards_recipient ON slack_cards (recipient) WHERE open;
CREATE INDEX IF NOT EXISTS slack_cards_due ON slack_cards (due_at) WHERE open AND due_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS slack_cards_closed ON slack_cards (posted_at) WHERE NOT open;
