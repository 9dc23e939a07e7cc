-- What a person said of a transaction of a wallet, last. Two wallets of one daemon can each have a part in it, and what was said of the one is not said of
-- the other. An index over entries: it may be updated.
CREATE TABLE words (
    txid    TEXT NOT NULL CHECK (length(txid) = 64),
    wallet  TEXT NOT NULL REFERENCES wallets (name),
    account TEXT NOT NULL,
    PRIMARY KEY (txid, wallet)
) STRICT, WITHOUT ROWID;

-- Until now a word was a claim that stood for all wallets: it is kept for those that it was said of, and those that paid.
INSERT INTO words (txid, wallet, account)
SELECT t.txid, t.wallet, c.account FROM claim_txids b JOIN claims c USING ("order") JOIN transactions t ON t.txid = b.txid
WHERE b."order" LIKE 'bursar:explained:%'
  AND (t.own = 1 OR EXISTS (SELECT 1 FROM entries e WHERE e.txid = t.txid AND e.wallet = t.wallet AND e.kind = 'explained'));
-- The wallet of which alone a claim was made: what one has from before bursar. None: an order's, which paid in each wallet that lists it as its own.
ALTER TABLE claim_txids ADD COLUMN wallet TEXT;
DELETE FROM claim_txids WHERE "order" LIKE 'bursar:explained:%';
DELETE FROM claims WHERE "order" LIKE 'bursar:explained:%';
