-- One wallet pays; others of the same daemon are followed beside it. Until now there was one, and it paid.
ALTER TABLE wallets ADD COLUMN pays INTEGER NOT NULL DEFAULT 0 CHECK (pays IN (0, 1));
UPDATE wallets SET pays = 1;
CREATE UNIQUE INDEX wallets_paying ON wallets (pays) WHERE pays = 1;

-- Final transactions are asked for by wallet, from the newest block down.
DROP INDEX transactions_final;
CREATE INDEX transactions_final ON transactions (wallet, height) WHERE final = 1;

-- The followed wallet that a freeze concerns; none: the paying one, or the coin as a whole.
ALTER TABLE freezes ADD COLUMN wallet TEXT;

-- The followed wallet that an audit was of; none: the paying one.
ALTER TABLE audits ADD COLUMN wallet TEXT;

-- Entries know transfers between wallets. A CHECK does not touch what is stored: its text is replaced, as SQLite's manual of ALTER TABLE says, because
-- rebuilding a ledger of millions would take as long as all of its history.
PRAGMA writable_schema = ON;
UPDATE sqlite_schema
SET sql = replace(replace(sql, '''reversal'', ''claimed'', ''explained'')),', '''reversal'', ''claimed'', ''explained'', ''transfer'')),'),
                  '(kind NOT IN (''reversal'', ''claimed'', ''explained'') OR', '(kind NOT IN (''reversal'', ''claimed'', ''explained'', ''transfer'') OR')
WHERE type = 'table' AND name = 'entries';
PRAGMA writable_schema = RESET;
