-- Every audit that came to a verdict, with its evidence. Rows are only ever added.
CREATE TABLE audits (
    id         INTEGER PRIMARY KEY,
    time_s     INTEGER NOT NULL,
    verdict    TEXT NOT NULL CHECK (verdict IN ('agrees', 'explained', 'unexplained')),
    tip_height INTEGER NOT NULL,
    difference INTEGER NOT NULL,                    -- ledger less wallet, base units
    report     TEXT NOT NULL                        -- JSON: the amounts of each side, and the suspects
) STRICT;

CREATE TRIGGER audits_never_change BEFORE UPDATE ON audits
BEGIN SELECT RAISE(ABORT, 'audits are never changed'); END;

CREATE TRIGGER audits_never_go BEFORE DELETE ON audits
BEGIN SELECT RAISE(ABORT, 'audits are never deleted'); END;

