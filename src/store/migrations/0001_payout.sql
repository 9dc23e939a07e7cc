-- What we were asked to pay. One row per caller's id; never deleted.
CREATE TABLE payouts (
    seq            INTEGER PRIMARY KEY,              -- order of submission
    id             TEXT NOT NULL UNIQUE,             -- the caller's own
    address        TEXT NOT NULL,                    -- as the caller spelled it
    amount         INTEGER NOT NULL CHECK (amount > 0),  -- base units
    state          TEXT NOT NULL CHECK (state IN ('queued', 'held', 'cancelled', 'rejected', 'sending', 'in_doubt', 'sent',
                                                  'confirmed', 'final', 'disputed')),
    reason         TEXT,                             -- of the last step, where a person should know
    batch          TEXT REFERENCES batches (id),     -- the batch that pays it, or may
    not_sent_count INTEGER NOT NULL DEFAULT 0,       -- how often a batch with it was proven not to be sent
    submitted_s    INTEGER NOT NULL,
    -- What may be paid belongs to a batch, what is not does not: a payout cannot fall between the two.
    CHECK ((batch IS NOT NULL) = (state IN ('sending', 'in_doubt', 'sent', 'confirmed', 'final', 'disputed')))
) STRICT;
CREATE INDEX payouts_by_state ON payouts (state, seq);
CREATE INDEX payouts_by_batch ON payouts (batch) WHERE batch IS NOT NULL;

-- Every step of every payout. Only ever added to.
CREATE TABLE payout_history (
    n          INTEGER PRIMARY KEY,
    payout     INTEGER NOT NULL REFERENCES payouts (seq),
    at_s       INTEGER NOT NULL,
    from_state TEXT,                                 -- none for the submission
    to_state   TEXT NOT NULL,
    reason     TEXT,
    batch      TEXT
) STRICT;
CREATE INDEX payout_history_by_payout ON payout_history (payout, n);
CREATE TRIGGER payout_history_is_not_changed BEFORE UPDATE ON payout_history
    BEGIN SELECT RAISE(ABORT, 'payout_history is only added to'); END;
CREATE TRIGGER payout_history_is_not_deleted BEFORE DELETE ON payout_history
    BEGIN SELECT RAISE(ABORT, 'payout_history is only added to'); END;

-- One row per call that pays many. Written before the call.
CREATE TABLE batches (
    id              TEXT PRIMARY KEY CHECK (length(id) = 32),
    seq             INTEGER NOT NULL UNIQUE,         -- a mark with a higher one in the wallet means that this store went back in time
    state           TEXT NOT NULL CHECK (state IN ('sending', 'in_doubt', 'sent', 'confirmed', 'final', 'disputed', 'ended')),
    mark            TEXT NOT NULL UNIQUE,            -- the transaction's comment
    method          TEXT NOT NULL CHECK (method IN ('sendmany')),
    node            TEXT NOT NULL,                   -- RPC address of the daemon that it is pinned to
    wallet          TEXT NOT NULL,                   -- and its wallet
    fingerprint     TEXT,                            -- of that wallet, where the daemon says one
    boot_id         TEXT NOT NULL,                   -- boot of the host at the call
    tip_height      INTEGER NOT NULL,
    tip_hash        TEXT NOT NULL,
    fee_rate_per_vb INTEGER,                         -- base units; none: the daemon's own choice
    coins_held      TEXT,                            -- JSON array of outpoints, until the inputs are known or it has ended
    witnesses       TEXT NOT NULL,                   -- JSON array of older txids of ours that carried their marks at the call
    not_sent_count  INTEGER NOT NULL,                -- how often its payouts were proven unsent before
    created_s       INTEGER NOT NULL,
    doubt_s         INTEGER,                         -- when its outcome became unknown
    doubt_reason    TEXT,
    fenced_s        INTEGER,                         -- when, after that, the daemon's exit was confirmed
    outcome         TEXT                             -- how it ended, or why it is disputed
) STRICT;
-- A batch that may still pay blocks the wallet: this one is asked before every send.
CREATE INDEX batches_by_state ON batches (state);

-- Marks of batches that this store forgot when it went back in time, and that a person adopted. Their numbers are never given again.
CREATE TABLE adopted_marks (
    mark      TEXT PRIMARY KEY,
    seq       INTEGER,                               -- none: not written by bursar
    adopted_s INTEGER NOT NULL
) STRICT;

-- What a batch was to pay: one row per locking script.
CREATE TABLE batch_outputs (
    batch    TEXT NOT NULL REFERENCES batches (id),
    position INTEGER NOT NULL,
    address  TEXT NOT NULL,
    script   TEXT NOT NULL,
    amount   INTEGER NOT NULL CHECK (amount > 0),
    PRIMARY KEY (batch, position),
    UNIQUE (batch, script)
) STRICT, WITHOUT ROWID;

-- The mutually conflicting transactions of a batch, any one of which pays it. A txid belongs to one batch.
CREATE TABLE batch_txids (
    txid    TEXT PRIMARY KEY,
    batch   TEXT NOT NULL REFERENCES batches (id),
    raw     TEXT,                                    -- the signed bytes in hex: what is broadcast again
    matched INTEGER CHECK (matched IN (0, 1)),       -- outputs compared with batch_outputs; none: not yet
    seen_s  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX batch_txids_by_batch ON batch_txids (batch);

