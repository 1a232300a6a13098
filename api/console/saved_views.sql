-- Searches that a person has saved: a list's address under a name. One person's are nobody else's.
CREATE TABLE IF NOT EXISTS console_views (
    person text NOT NULL,
    place text NOT NULL,
    name text NOT NULL,
    address text NOT NULL,
    saved_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (person, place, name)
);
