-- Which subject of an issuer has which id, where the id is another claim than the subject itself:
-- such claims can be given to somebody else, and this service must not take the one for the other.
CREATE TABLE IF NOT EXISTS identity_subjects (
    issuer text NOT NULL,
    subject text NOT NULL,
    person text NOT NULL,
    since timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (issuer, subject),
    UNIQUE (issuer, person)
);
