ALTER INDEX identity.attempt_began RENAME TO attempt_changed;
ALTER TABLE identity.attempt RENAME COLUMN began TO changed;
