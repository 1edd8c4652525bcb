-- Attempts are counted from the first one on, not from the last: an address that many people share
-- would else never come to an end of its window.
ALTER TABLE identity.attempt RENAME COLUMN changed TO began;
ALTER INDEX identity.attempt_changed RENAME TO attempt_began;
