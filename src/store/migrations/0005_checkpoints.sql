-- Checkpoints cover credits and the chronicle, too; those of before do not.
ALTER TABLE checkpoints ADD COLUMN credits INTEGER;                                       -- the newest credit event; 0: there was none
ALTER TABLE checkpoints ADD COLUMN credits_hash TEXT CHECK (length(credits_hash) = 64 AND (credits IS NULL) = (credits_hash IS NULL));
ALTER TABLE checkpoints ADD COLUMN chronicle INTEGER;                                     -- the newest row of the chronicle; 0: there was none
ALTER TABLE checkpoints ADD COLUMN chronicle_hash TEXT CHECK (length(chronicle_hash) = 64 AND (chronicle IS NULL) = (chronicle_hash IS NULL));

CREATE TRIGGER checkpoints_never_change_credits BEFORE UPDATE OF credits, credits_hash, chronicle, chronicle_hash ON checkpoints
BEGIN SELECT RAISE(ABORT, 'checkpoints are never changed'); END;
