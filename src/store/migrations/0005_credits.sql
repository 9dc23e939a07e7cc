-- Deposits that are posted and not credited: not deep enough yet, or no more. An index over entries: it may be updated.
CREATE TABLE deposits (
    event   INTEGER NOT NULL,                       -- the ledger event that posted it
    vout    INTEGER NOT NULL,
    wallet  TEXT NOT NULL,
    txid    TEXT NOT NULL CHECK (length(txid) = 64),
    address TEXT,                                   -- none: the wallet names none
    amount  INTEGER NOT NULL CHECK (amount > 0),    -- base units
    follows INTEGER,                                -- the reversal after which it would be credited again
    PRIMARY KEY (event, vout)
) STRICT, WITHOUT ROWID;

-- Credits of deposits, and reversals of credits. Rows are only ever added. Every row's hash covers the row and the hash before it.
CREATE TABLE credits (
    seq        INTEGER PRIMARY KEY,
    kind       TEXT NOT NULL CHECK (kind IN ('credit', 'reversal')),
    time_s     INTEGER NOT NULL,
    wallet     TEXT NOT NULL,
    txid       TEXT NOT NULL CHECK (length(txid) = 64),
    vout       INTEGER NOT NULL,
    address    TEXT,
    amount     INTEGER NOT NULL CHECK (amount > 0), -- base units
    block      TEXT NOT NULL CHECK (length(block) = 64),  -- in which it was credited
    height     INTEGER NOT NULL,
    tip_height INTEGER NOT NULL,                    -- where the ledger stood
    follows    INTEGER CHECK (follows < seq),       -- a reversal: the credit that it takes back; a credit: the reversal before it
    reason     TEXT CHECK (reason IN ('reorged', 'conflicted', 'dead', 'forgotten')),
    event      INTEGER NOT NULL,                    -- the ledger event that posted the deposit
    previous   TEXT NOT NULL CHECK (length(previous) = 64),
    hash       TEXT NOT NULL CHECK (length(hash) = 64),
    CHECK (kind = 'credit' OR follows IS NOT NULL),
    CHECK ((kind = 'reversal') = (reason IS NOT NULL))
) STRICT;
-- No output is credited twice for one posting, and nothing is followed twice.
CREATE UNIQUE INDEX credits_event ON credits (event, vout, coalesce(follows, 0));
CREATE UNIQUE INDEX credits_follows ON credits (follows) WHERE follows IS NOT NULL;

-- The newest row, and what all of them come to.
CREATE TABLE credits_head (
    one             INTEGER PRIMARY KEY CHECK (one = 1),
    seq             INTEGER NOT NULL,
    hash            TEXT NOT NULL,
    reversals       INTEGER NOT NULL,
    outstanding     INTEGER NOT NULL CHECK (outstanding >= 0),  -- reversals after which nothing was credited again
    last_reversal_s INTEGER,
    since           INTEGER NOT NULL                -- the newest posting from before there were credits; 0: there was none
) STRICT;
INSERT INTO credits_head (one, seq, hash, reversals, outstanding, since)
SELECT 1, 0, '0000000000000000000000000000000000000000000000000000000000000000', 0, 0, seq FROM ledger_head;

CREATE TRIGGER credits_follow_the_head BEFORE INSERT ON credits
WHEN NOT EXISTS (SELECT 1 FROM credits_head WHERE seq = NEW.seq - 1 AND hash = NEW.previous)
BEGIN SELECT RAISE(ABORT, 'a credit event must follow the newest one'); END;

CREATE TRIGGER credits_follow_their_own BEFORE INSERT ON credits
WHEN NEW.follows IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM credits WHERE seq = NEW.follows AND kind <> NEW.kind AND wallet = NEW.wallet AND txid = NEW.txid AND vout = NEW.vout)
BEGIN SELECT RAISE(ABORT, 'a reversal follows a credit of the same output, and a second credit a reversal'); END;

CREATE TRIGGER credits_move_the_head AFTER INSERT ON credits
BEGIN
    UPDATE credits_head SET seq = NEW.seq, hash = NEW.hash, reversals = reversals + (NEW.kind = 'reversal'),
        outstanding = outstanding + (NEW.kind = 'reversal') - (NEW.kind = 'credit' AND NEW.follows IS NOT NULL),
        last_reversal_s = CASE NEW.kind WHEN 'reversal' THEN NEW.time_s ELSE last_reversal_s END;
END;

CREATE TRIGGER credits_never_change BEFORE UPDATE ON credits
BEGIN SELECT RAISE(ABORT, 'credit events are never changed'); END;
CREATE TRIGGER credits_never_go BEFORE DELETE ON credits
BEGIN SELECT RAISE(ABORT, 'credit events are never deleted'); END;

-- Of an older store, deposits that can still change are credited from now on. Their addresses are learnt when the wallet shows them.
INSERT INTO deposits (event, vout, wallet, txid, amount)
SELECT e.event, e.vout, e.wallet, e.txid, -e.amount FROM transactions t JOIN entries e ON e.event = t.event
WHERE t.final = 0 AND e.kind = 'posting' AND e.account = 'deposit' AND e.category = 'receive' AND e.vout IS NOT NULL AND e.amount < 0
  AND (t.own = 0 OR EXISTS (
       SELECT 1 FROM entries s WHERE s.event = e.event AND s.vout = e.vout AND s.category = 'send' AND s.account = 'payout'))
GROUP BY e.event, e.vout HAVING count(*) = 1;

-- How far the webhook's receiver has acknowledged credits.
ALTER TABLE webhook ADD COLUMN credits_delivered INTEGER NOT NULL DEFAULT 0;
