-- How often something was tried of late. All run as bulkhead_auth.

-- TakeAttempt counts one attempt under each of the keys, before it is known how it ends, and returns
-- until when they are blocked: then nothing is counted. From the attempt number `free` on, each one
-- blocks the next for 30 seconds, 1 minute, 2 and so on up to 15. A count begins anew when its window
-- is over. The caller holds the keys' locks.
-- name: TakeAttempt :one
WITH wanted AS (
  SELECT unnest(@keys::bytea[]) AS key, unnest(@free::int[]) AS free, unnest(@window_seconds::int[]) AS window_seconds
), blocked AS (
  SELECT max(a.blocked_until) AS until FROM identity.attempt a
  WHERE a.tenant_id = @tenant_id AND a.key = ANY (@keys::bytea[]) AND a.blocked_until > now()
), expired AS (
  DELETE FROM identity.attempt e
  WHERE e.tenant_id = @tenant_id
    AND e.key = ANY (ARRAY(SELECT a.key FROM identity.attempt a
                         WHERE a.tenant_id = @tenant_id AND a.began < now() - interval '2 days' AND a.key <> ALL (@keys::bytea[]) LIMIT 20))
), counted AS (
  SELECT w.key, n.failures, coalesce(a.began, now()) AS began,
         CASE WHEN n.failures < w.free THEN to_timestamp(0)
              ELSE now() + least(900, 30 * power(2, least(n.failures - w.free, 10))) * interval '1 second' END AS blocked_until
  FROM wanted w
  LEFT JOIN identity.attempt a ON a.tenant_id = @tenant_id AND a.key = w.key AND a.began > now() - w.window_seconds * interval '1 second'
  CROSS JOIN LATERAL (SELECT coalesce(a.failures, 0) + 1 AS failures) n
  WHERE (SELECT b.until FROM blocked b) IS NULL
), kept AS (
  INSERT INTO identity.attempt (tenant_id, key, failures, blocked_until, began)
  SELECT @tenant_id, c.key, c.failures, c.blocked_until, c.began FROM counted c
  ON CONFLICT (tenant_id, key) DO UPDATE
  SET failures = excluded.failures, blocked_until = excluded.blocked_until, began = excluded.began
)
SELECT coalesce(b.until, to_timestamp(0))::timestamptz AS blocked_until FROM blocked b;

-- ForgiveAttempt takes an attempt back that turned out to be rightful: all failures of the first
-- key are forgotten, of the second only this one.
-- name: ForgiveAttempt :exec
WITH own AS (
  DELETE FROM identity.attempt o WHERE o.tenant_id = @tenant_id AND o.key = @own
)
UPDATE identity.attempt AS s SET failures = greatest(s.failures - 1, 0), blocked_until = to_timestamp(0)
WHERE s.tenant_id = @tenant_id AND s.key = @shared;
