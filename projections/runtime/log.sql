-- name: after
SELECT notification_id, originator_id, originator_version, topic, state
FROM execution_events
WHERE notification_id > %(after)s AND notification_id <= coalesce(%(upto)s, 9223372036854775807)
ORDER BY notification_id
LIMIT %(limit)s
-- name: end
SELECT coalesce(max(notification_id), 0) FROM execution_events
