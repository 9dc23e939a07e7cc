-- One climb of the repair ladder. At most one is unfinished: the next run goes on with it.
CREATE TABLE repairs (
    id          INTEGER PRIMARY KEY,
    started_s   INTEGER NOT NULL,
    folder      TEXT NOT NULL,                    -- holds the wallet copy and the pending transactions
    fingerprint TEXT,                             -- of the wallet before; none where it did not answer
    tip_height  INTEGER,                          -- before; sends stay frozen until it is regained
    finished_s  INTEGER,
    agrees      INTEGER CHECK (agrees IN (0, 1)), -- what the audit after it said
    CHECK ((finished_s IS NULL) = (agrees IS NULL))
) STRICT;
CREATE UNIQUE INDEX repairs_unfinished ON repairs ((finished_s IS NULL)) WHERE finished_s IS NULL;

-- A step is begun before anything is done for it, and done when it is. A step that was begun and is not done is done again.
CREATE TABLE repair_steps (
    repair  INTEGER NOT NULL REFERENCES repairs (id),
    step    TEXT NOT NULL CHECK (step IN ('note', 'stop', 'copy', 'rescan', 'rebroadcast', 'audit')),
    begun_s INTEGER NOT NULL,
    done_s  INTEGER,
    detail  TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (repair, step)
) STRICT;

-- Transactions that a repaired wallet may have forgotten, with the bytes that bring them back.
CREATE TABLE repair_pending (
    repair  INTEGER NOT NULL REFERENCES repairs (id),
    txid    TEXT NOT NULL CHECK (length(txid) = 64),
    raw_hex TEXT NOT NULL,
    own     INTEGER NOT NULL CHECK (own IN (0, 1)),  -- we paid: ours to broadcast again
    fate    TEXT,                                    -- what became of it after the repair
    PRIMARY KEY (repair, txid)
) STRICT, WITHOUT ROWID;
