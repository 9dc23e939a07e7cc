-- The wallet that this ledger follows, and how far.
CREATE TABLE wallets (
    name           TEXT PRIMARY KEY,
    fingerprint    TEXT,                           -- none where the daemon says nothing that lasts
    opened_s       INTEGER NOT NULL,
    opening_height INTEGER NOT NULL,               -- up to here transactions are summed in the opening entry
    cursor_block   TEXT CHECK (length(cursor_block) = 64),
    cursor_height  INTEGER,
    tip_block      TEXT CHECK (length(tip_block) = 64),
    tip_height     INTEGER,
    CHECK ((cursor_block IS NULL) = (cursor_height IS NULL)),
    CHECK ((tip_block IS NULL) = (tip_height IS NULL))
) STRICT;

-- Persons' words that a wallet's keys changed and it is still the one that is followed. Rows are only ever added.
CREATE TABLE rekeyings (
    n      INTEGER PRIMARY KEY,
    wallet TEXT NOT NULL REFERENCES wallets (name),
    at_s   INTEGER NOT NULL,
    old    TEXT,
    new    TEXT,
    who    TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT;
CREATE TRIGGER rekeyings_never_change BEFORE UPDATE ON rekeyings
BEGIN SELECT RAISE(ABORT, 'rekeyings are never changed'); END;
CREATE TRIGGER rekeyings_never_go BEFORE DELETE ON rekeyings
BEGIN SELECT RAISE(ABORT, 'rekeyings are never deleted'); END;

-- What happened. Rows are only ever added. The postings of one event sum to zero: what a wallet gains stands negative in the
-- account it came from. Every row's hash covers the row and the hash before it.
CREATE TABLE entries (
    seq      INTEGER PRIMARY KEY,
    event    INTEGER NOT NULL,
    time_s   INTEGER NOT NULL,
    wallet   TEXT NOT NULL REFERENCES wallets (name),
    account  TEXT NOT NULL CHECK (account IN
             ('wallet', 'deposit', 'payout', 'fee', 'mined', 'staked', 'internal', 'opening', 'unexplained')),
    txid     TEXT CHECK (length(txid) = 64),        -- none: the opening
    vout     INTEGER,
    category TEXT,
    block    TEXT CHECK (length(block) = 64),       -- where the transaction stood when this was posted; none: unconfirmed
    height   INTEGER,
    amount   INTEGER NOT NULL,                      -- base units, signed
    kind     TEXT NOT NULL CHECK (kind IN ('opening', 'posting', 'reversal', 'claimed', 'explained')),
    reverses INTEGER,                               -- the event that this one takes back or corrects
    note     TEXT,                                  -- who said so, and why
    previous TEXT NOT NULL CHECK (length(previous) = 64),
    hash     TEXT NOT NULL CHECK (length(hash) = 64),
    CHECK ((block IS NULL) = (height IS NULL)),
    CHECK (kind NOT IN ('reversal', 'claimed', 'explained') OR reverses IS NOT NULL),
    CHECK (kind <> 'explained' OR note IS NOT NULL),
    CHECK (reverses < event)
) STRICT;
CREATE INDEX entries_event ON entries (event);
CREATE INDEX entries_txid ON entries (txid);
CREATE INDEX entries_unexplained ON entries (txid) WHERE account = 'unexplained';

-- The newest row: a chain of hashes alone does not show that its end was cut off.
CREATE TABLE ledger_head (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    seq  INTEGER NOT NULL,
    hash TEXT NOT NULL
) STRICT;
INSERT INTO ledger_head (one, seq, hash)
VALUES (1, 0, '0000000000000000000000000000000000000000000000000000000000000000');

-- Running balances, so that asking for one does not add up the history.
CREATE TABLE balances (
    wallet  TEXT NOT NULL,
    account TEXT NOT NULL,
    amount  INTEGER NOT NULL,
    PRIMARY KEY (wallet, account)
) STRICT;

CREATE TRIGGER entries_follow_the_head BEFORE INSERT ON entries
WHEN NOT EXISTS (SELECT 1 FROM ledger_head WHERE seq = NEW.seq - 1 AND hash = NEW.previous)
BEGIN SELECT RAISE(ABORT, 'a ledger entry must follow the newest one'); END;

CREATE TRIGGER entries_are_summed AFTER INSERT ON entries
BEGIN
    UPDATE ledger_head SET seq = NEW.seq, hash = NEW.hash;
    INSERT INTO balances (wallet, account, amount) VALUES (NEW.wallet, NEW.account, NEW.amount)
        ON CONFLICT (wallet, account) DO UPDATE SET amount = amount + excluded.amount;
END;

CREATE TRIGGER entries_never_change BEFORE UPDATE ON entries
BEGIN SELECT RAISE(ABORT, 'ledger entries are never changed'); END;

CREATE TRIGGER entries_never_go BEFORE DELETE ON entries
BEGIN SELECT RAISE(ABORT, 'ledger entries are never deleted'); END;

-- Where each transaction stands now. An index over entries and wallet: it may be updated.
CREATE TABLE transactions (
    txid     TEXT NOT NULL CHECK (length(txid) = 64),
    wallet   TEXT NOT NULL REFERENCES wallets (name),
    state    TEXT NOT NULL CHECK (state IN ('confirmed', 'mempool', 'limbo', 'pending', 'immature', 'dead')),
    block    TEXT CHECK (length(block) = 64),
    height   INTEGER,
    net      INTEGER NOT NULL,                      -- what is posted for it, or would be: base units, signed
    seen_net INTEGER NOT NULL,                      -- what the wallet said last; differs from net only when it changed its word
    own      INTEGER NOT NULL CHECK (own IN (0, 1)),    -- we paid
    event    INTEGER,                               -- the event that stands for it; none: nothing is posted
    final    INTEGER NOT NULL CHECK (final IN (0, 1)),
    comment  TEXT,                                  -- the mark it was sent with; a repaired wallet forgets it, we do not
    stray    INTEGER NOT NULL DEFAULT 0 CHECK (stray IN (0, 1)),  -- carried a mark of this store that no claim knew
    PRIMARY KEY (txid, wallet),
    CHECK ((block IS NULL) = (height IS NULL)),
    CHECK ((block IS NOT NULL) = (state IN ('confirmed', 'immature')))
) STRICT, WITHOUT ROWID;
CREATE INDEX transactions_open ON transactions (wallet) WHERE final = 0;
CREATE INDEX transactions_comment ON transactions (comment) WHERE comment IS NOT NULL;
CREATE INDEX transactions_stray ON transactions (wallet) WHERE stray = 1;
CREATE INDEX transactions_final ON transactions (height) WHERE final = 1;

-- What a coming transaction will mean, written before it is ordered.
CREATE TABLE claims (
    mark    TEXT PRIMARY KEY,
    "order" TEXT NOT NULL,
    account TEXT NOT NULL
) STRICT;
CREATE INDEX claims_order ON claims ("order");
CREATE TABLE claim_txids (
    txid    TEXT PRIMARY KEY CHECK (length(txid) = 64),
    "order" TEXT NOT NULL
) STRICT;

