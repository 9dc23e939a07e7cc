-- What each day moved: a balance at a time, and a statement of a day, add up days and not the history. Days are of UTC; an entry belongs to the day of its time.
CREATE TABLE days (
    day      INTEGER NOT NULL,                      -- days since 1970-01-01
    wallet   TEXT NOT NULL,
    account  TEXT NOT NULL,
    kind     TEXT NOT NULL,
    amount   INTEGER NOT NULL,                      -- sum of these entries, base units
    entries  INTEGER NOT NULL CHECK (entries > 0),
    last_seq INTEGER NOT NULL,                      -- the newest of them
    PRIMARY KEY (day, wallet, account, kind)
) STRICT, WITHOUT ROWID;
INSERT INTO days
SELECT time_s / 86400, wallet, account, kind, sum(amount), count(*), max(seq) FROM entries GROUP BY 1, 2, 3, 4;

CREATE TRIGGER entries_are_summed_by_day AFTER INSERT ON entries
BEGIN
    INSERT INTO days VALUES (NEW.time_s / 86400, NEW.wallet, NEW.account, NEW.kind, NEW.amount, 1, NEW.seq)
        ON CONFLICT DO UPDATE SET amount = amount + excluded.amount, entries = entries + 1, last_seq = excluded.last_seq;
END;

-- The audits of a day.
CREATE INDEX audits_time ON audits (time_s);
