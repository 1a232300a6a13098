"""The SQL of leases, holds and claims.

A lease is over at ``expires_at``. It is also over if it would last longer than it was given for:
then it was renewed while the clock was wrong. ``lasts`` is NULL in rows of servers of before the
column.
"""

HEARTBEAT = """
    INSERT INTO worker_leases (owner, worker, lasts, expires_at)
    SELECT %s, %s, lasts, clock_timestamp() + lasts FROM (VALUES (%s::interval)) AS new (lasts)
    ON CONFLICT (owner, worker) DO UPDATE
    SET expires_at = EXCLUDED.expires_at, lasts = EXCLUDED.lasts
    RETURNING expires_at
"""
RENEW = """
    INSERT INTO worker_leases (owner, worker, lasts, expires_at, queues, workflows)
    SELECT %s, %s, lasts, clock_timestamp() + lasts, %s, %s
    FROM (VALUES (%s::interval)) AS new (lasts)
    ON CONFLICT (owner, worker) DO UPDATE
    SET expires_at = EXCLUDED.expires_at, lasts = EXCLUDED.lasts,
        queues = EXCLUDED.queues, workflows = EXCLUDED.workflows
    RETURNING expires_at
"""
TAKE_OVER = """
    INSERT INTO worker_leases (owner, worker, lasts, expires_at, queues, workflows, stream)
    SELECT %s, %s, lasts, clock_timestamp() + lasts, %s, %s, %s
    FROM (VALUES (%s::interval)) AS new (lasts)
    ON CONFLICT (owner, worker) DO UPDATE
    SET expires_at = EXCLUDED.expires_at, lasts = EXCLUDED.lasts, stream = EXCLUDED.stream,
        queues = EXCLUDED.queues, workflows = EXCLUDED.workflows
    RETURNING expires_at
"""
KEEP = """
    UPDATE worker_leases SET lasts = new.lasts, expires_at = clock_timestamp() + new.lasts
    FROM (VALUES (%s::interval)) AS new (lasts)
    WHERE owner = %s AND worker = %s AND stream = %s
    RETURNING expires_at
"""
# Not if the lease was renewed meanwhile, because then the worker is alive.
SHORTEN = """
    UPDATE worker_leases SET expires_at = clock_timestamp() + %(grace)s
    WHERE owner = %(owner)s AND worker = %(worker)s AND expires_at = %(expires_at)s
        AND expires_at > clock_timestamp() + %(grace)s
    RETURNING 1
"""
# First the executions of dead workers, then those that have waited longest. So all get their turn.
# Of each: whether its worker is dead, and the time by which it is.
CANDIDATES = """
    SELECT execution_id, queue, workflow, workflow_version, free = 0, clock_timestamp() FROM (
        (SELECT h.execution_id, h.queue, workflow, workflow_version, 0 AS free, h.sequence
         FROM worker_leases AS l JOIN execution_holds AS h USING (owner, worker)
         WHERE (l.expires_at <= clock_timestamp()
                OR l.expires_at > clock_timestamp() + l.lasts + interval '1 second')
            AND h.worker IS NOT NULL
            AND h.queue = ANY (%(queues)s) AND h.execution_id <> ALL (%(exclude)s::uuid[])
            AND (%(all)s OR workflow IS NULL OR workflow = ANY (%(names)s)
                OR (workflow, workflow_version)
                    IN (SELECT * FROM unnest(%(named)s::text[], %(versions)s::text[])))
         LIMIT %(limit)s)
        UNION ALL
        (SELECT h.execution_id, h.queue, workflow, workflow_version, 1, h.sequence
         FROM unnest(%(queues)s::text[]) AS wanted (queue) CROSS JOIN LATERAL (
            SELECT execution_id, queue, workflow, workflow_version, sequence FROM execution_holds
            WHERE queue = wanted.queue AND worker IS NULL
                AND (progress OR woken_version > released_version)
                AND execution_id <> ALL (%(exclude)s::uuid[])
                AND (%(all)s OR workflow IS NULL OR workflow = ANY (%(names)s)
                    OR (workflow, workflow_version)
                        IN (SELECT * FROM unnest(%(named)s::text[], %(versions)s::text[])))
            ORDER BY sequence LIMIT %(limit)s
         ) AS h)
    ) AS found ORDER BY free, sequence LIMIT %(limit)s
"""
CLAIMABLE = """
    SELECT execution_id, queue, workflow, workflow_version FROM execution_holds
    WHERE execution_id = ANY (%s) AND worker IS NULL
        AND (progress OR woken_version > released_version)
"""
PARKED = """
    SELECT execution_id FROM execution_holds
    WHERE execution_id = ANY (%s) AND worker IS NULL AND NOT progress AND woken_version = 0
"""
HELD = "SELECT execution_id FROM execution_holds WHERE owner = %s AND worker = %s"
WOKEN = "SELECT execution_id, woken_version FROM execution_holds WHERE owner = %s AND worker = %s"
COUNT = "SELECT count(*) FROM execution_holds WHERE owner = %s AND worker = %s"
# An execution that the worker has claimed again meanwhile is not lost.
LOST = """
    DELETE FROM lost_holds AS l WHERE owner = %s AND worker = %s
    RETURNING execution_id, EXISTS (
        SELECT FROM execution_holds AS h
        WHERE (h.execution_id, h.owner, h.worker) = (l.execution_id, l.owner, l.worker)
    )
"""
RELEASE = "SELECT release_holds_v1(%(owner)s, %(worker)s, %(ids)s)"
RELEASE_AT = """
    SELECT release_holds_at_v1(
        %(owner)s, %(worker)s, %(ids)s, %(seen)s, %(fences)s, %(unfinished)s, %(others)s
    )
"""
NEXT_EXPIRY = """
    SELECT extract(epoch FROM min(expires_at) - clock_timestamp())::float8, clock_timestamp()
    FROM worker_leases AS l
    WHERE expires_at > clock_timestamp() AND EXISTS (
        SELECT FROM execution_holds AS h WHERE (h.owner, h.worker) = (l.owner, l.worker)
    )
"""
DELETE_EXPIRED = """
    DELETE FROM worker_leases AS l
    WHERE expires_at < clock_timestamp() - interval '1 hour' AND NOT EXISTS (
        SELECT FROM execution_holds AS h WHERE (h.owner, h.worker) = (l.owner, l.worker)
    )
"""
DELETE_LOST = """
    DELETE FROM lost_holds AS l WHERE NOT EXISTS (
        SELECT FROM worker_leases AS w WHERE (w.owner, w.worker) = (l.owner, l.worker)
    )
"""
