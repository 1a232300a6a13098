-- name: after
SELECT notification_id, originator_id, originator_version, topic, state
FROM execution_events
WHERE notification_id > %(after)s AND notification_id <= coalesce(%(upto)s, 9223372036854775807)
ORDER BY notification_id
LIMIT %(limit)s
-- name: of_execution
SELECT notification_id, originator_id, originator_version, topic, state
FROM execution_events
WHERE originator_id = %(id)s AND notification_id <= %(upto)s
ORDER BY originator_version
-- name: end
SELECT coalesce(max(notification_id), 0) FROM execution_events
