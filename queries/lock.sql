-- Lock makes a transaction wait for others of this project that hold the same key; two conditional
-- writes on the same criteria run one after the other.
-- name: Lock :exec
SELECT app.lock(@key::text);
