-- name: register
INSERT INTO projection_positions (name, position, version) VALUES (%(name)s, 0, %(version)s)
ON CONFLICT (name) DO NOTHING
-- name: read
SELECT name, position, version FROM projection_positions
-- name: read_one
SELECT position FROM projection_positions WHERE name = %(name)s
