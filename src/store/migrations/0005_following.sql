-- How many transactions the ledger follows, so that nobody has to count them.
CREATE TABLE followed_counts (
    wallet       TEXT PRIMARY KEY,
    transactions INTEGER NOT NULL CHECK (transactions >= 0)
) STRICT;
INSERT INTO followed_counts SELECT wallet, count(*) FROM transactions GROUP BY wallet;

CREATE TRIGGER transactions_are_counted AFTER INSERT ON transactions
BEGIN
    INSERT INTO followed_counts VALUES (NEW.wallet, 1) ON CONFLICT DO UPDATE SET transactions = transactions + 1;
END;

-- What the last deep audit of a wallet left for those that do not read its whole listing; none after one that was left with something unexplained.
CREATE TABLE deep_audits (
    wallet TEXT PRIMARY KEY,
    time_s INTEGER NOT NULL,
    beyond INTEGER                                 -- transactions that the wallet counts beyond those that the ledger follows; none: it does not count them
) STRICT;
