-- What the ledger was worth at a time. Signed and exported, it shows later whether the end was cut off or all of it written anew. Rows are only ever added.
CREATE TABLE checkpoints (
    n          INTEGER PRIMARY KEY,
    at_s       INTEGER NOT NULL,
    seq        INTEGER NOT NULL,                      -- the newest posting; 0: there was none
    hash       TEXT NOT NULL CHECK (length(hash) = 64),
    balances   TEXT NOT NULL CHECK (length(balances) = 64),  -- SHA-256 over those that were not zero
    tip_block  TEXT CHECK (length(tip_block) = 64),   -- where the ledger stood; none: it was never in step
    tip_height INTEGER,
    exported_s INTEGER,                               -- when its file was written; none: not yet, or nowhere to
    CHECK ((tip_block IS NULL) = (tip_height IS NULL))
) STRICT;
CREATE INDEX checkpoints_exported ON checkpoints (exported_s) WHERE exported_s IS NOT NULL;

CREATE TRIGGER checkpoints_never_change BEFORE UPDATE OF n, at_s, seq, hash, balances, tip_block, tip_height ON checkpoints
BEGIN SELECT RAISE(ABORT, 'checkpoints are never changed'); END;
CREATE TRIGGER checkpoints_never_go BEFORE DELETE ON checkpoints
BEGIN SELECT RAISE(ABORT, 'checkpoints are never deleted'); END;
