-- How a journaled batch pays besides its outputs: written down before anything is signed.
CREATE TABLE drafts (
    batch           TEXT PRIMARY KEY REFERENCES batches (id),
    lock_height     INTEGER NOT NULL,
    fee             INTEGER NOT NULL,                -- base units
    vbytes          INTEGER NOT NULL,                -- as expected once signed
    change_position INTEGER,                         -- none: no change
    change_address  TEXT,
    change_script   TEXT,
    change_amount   INTEGER CHECK (change_amount > 0),
    CHECK ((change_position IS NULL) = (change_amount IS NULL)),
    CHECK ((change_address IS NULL) = (change_amount IS NULL)),
    CHECK ((change_script IS NULL) = (change_amount IS NULL))
) STRICT, WITHOUT ROWID;

-- The coins that journaled batches spend, in the order of the inputs. Daemons forget their locks when they restart; this does not.
CREATE TABLE reservations (
    batch    TEXT NOT NULL REFERENCES batches (id),
    position INTEGER NOT NULL,
    txid     TEXT NOT NULL,
    vout     INTEGER NOT NULL,
    amount   INTEGER NOT NULL CHECK (amount > 0),
    script   TEXT NOT NULL,
    released INTEGER NOT NULL DEFAULT 0 CHECK (released IN (0, 1)),
    PRIMARY KEY (batch, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX reservations_by_coin ON reservations (txid, vout);
-- No coin is spent by two batches.
CREATE UNIQUE INDEX reservations_open ON reservations (txid, vout) WHERE released = 0;

-- Spends that nobody ordered are asked for after every sync.
CREATE INDEX entries_internal ON entries (txid) WHERE account = 'internal';
