-- Batches know their method, and fee rates per thousand virtual bytes. SQLite changes no CHECK: the table is made anew.
CREATE TABLE batches_new (
    id               TEXT PRIMARY KEY CHECK (length(id) = 32),
    seq              INTEGER NOT NULL UNIQUE,        -- a mark with a higher one in the wallet means that this store went back in time
    state            TEXT NOT NULL CHECK (state IN ('sending', 'in_doubt', 'sent', 'confirmed', 'final', 'disputed', 'ended')),
    mark             TEXT NOT NULL UNIQUE,           -- the transaction's comment
    method           TEXT NOT NULL CHECK (method IN ('sendmany', 'journaled')),
    node             TEXT NOT NULL,                  -- RPC address of the daemon that it is pinned to
    wallet           TEXT NOT NULL,                  -- and its wallet
    fingerprint      TEXT,                           -- of that wallet, where the daemon says one
    boot_id          TEXT NOT NULL,                  -- boot of the host at the call
    tip_height       INTEGER NOT NULL,
    tip_hash         TEXT NOT NULL,
    fee_rate_per_kvb INTEGER,                        -- base units; none: the daemon's own choice
    coins_held       TEXT,                           -- JSON array of outpoints, until the inputs are known or it has ended
    witnesses        TEXT NOT NULL,                  -- JSON array of older txids of ours that carried their marks at the call
    not_sent_count   INTEGER NOT NULL,               -- how often its payouts were proven unsent before
    created_s        INTEGER NOT NULL,
    doubt_s          INTEGER,                        -- when its outcome became unknown
    doubt_reason     TEXT,
    fenced_s         INTEGER,                        -- when, after that, the daemon's exit was confirmed
    outcome          TEXT                            -- how it ended, or why it is disputed
) STRICT;
INSERT INTO batches_new
SELECT id, seq, state, mark, method, node, wallet, fingerprint, boot_id, tip_height, tip_hash, fee_rate_per_vb * 1000, coins_held,
       witnesses, not_sent_count, created_s, doubt_s, doubt_reason, fenced_s, outcome
FROM batches;
DROP TABLE batches;
ALTER TABLE batches_new RENAME TO batches;
CREATE INDEX batches_by_state ON batches (state, tip_height);
