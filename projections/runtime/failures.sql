-- name: read
SELECT model, execution_id, position FROM projection_failures
-- name: add
INSERT INTO projection_failures (model, execution_id, version, position, reason)
SELECT model, %(id)s, %(version)s, %(position)s, %(reason)s FROM unnest(%(models)s::text[]) AS m (model)
ON CONFLICT (model, execution_id) DO NOTHING
RETURNING model
-- name: remove
DELETE FROM projection_failures WHERE model = ANY (%(models)s) AND execution_id = %(id)s
-- name: clear
DELETE FROM projection_failures WHERE model = %(model)s
