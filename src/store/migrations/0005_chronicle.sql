-- What must not change unseen besides postings and credits: what each of these rows said when it was written, and when it was changed. Rows are only ever added.
-- Every row's hash covers the row and the hash before it, and checkpoints cover the newest.
CREATE TABLE chronicle (
    n        INTEGER PRIMARY KEY,
    what     TEXT NOT NULL CHECK (what IN ('audit', 'freeze', 'checkpoint', 'rekeying')),
    id       INTEGER NOT NULL,                      -- of the row in its table
    says     TEXT NOT NULL,                         -- its values, as SQL writes them
    previous TEXT NOT NULL CHECK (length(previous) = 64),
    hash     TEXT NOT NULL CHECK (length(hash) = 64)
) STRICT;
CREATE INDEX chronicle_row ON chronicle (what, id);

CREATE TABLE chronicle_head (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    n    INTEGER NOT NULL,
    hash TEXT NOT NULL
) STRICT;
INSERT INTO chronicle_head (one, n, hash) VALUES (1, 0, '0000000000000000000000000000000000000000000000000000000000000000');

CREATE TRIGGER chronicle_follows_the_head BEFORE INSERT ON chronicle
WHEN NOT EXISTS (SELECT 1 FROM chronicle_head WHERE n = NEW.n - 1 AND hash = NEW.previous)
BEGIN SELECT RAISE(ABORT, 'a row of the chronicle must follow the newest one'); END;
CREATE TRIGGER chronicle_moves_the_head AFTER INSERT ON chronicle
BEGIN UPDATE chronicle_head SET n = NEW.n, hash = NEW.hash; END;
CREATE TRIGGER chronicle_never_changes BEFORE UPDATE ON chronicle
BEGIN SELECT RAISE(ABORT, 'the chronicle is never changed'); END;
CREATE TRIGGER chronicle_never_goes BEFORE DELETE ON chronicle
BEGIN SELECT RAISE(ABORT, 'the chronicle is never deleted'); END;

CREATE TRIGGER freezes_never_go BEFORE DELETE ON freezes
BEGIN SELECT RAISE(ABORT, 'freezes are never deleted'); END;

-- What they say now, each text to its end: SQLite's own quote() stops at a NUL. An audit's evidence is long: its SHA-256 stands for it.
CREATE VIEW chronicled (what, id, says) AS
SELECT 'audit', id, quoted(time_s) || ',' || quoted(verdict) || ',' || quoted(tip_height) || ',' || quoted(difference) || ',' || quoted(wallet) || ','
    || quoted(sha256(report)) FROM audits
UNION ALL
SELECT 'freeze', id, quoted(cause) || ',' || quoted(detail) || ',' || quoted(txids) || ',' || quoted(amount) || ',' || quoted(wallet) || ',' || quoted(since_s) || ','
    || quoted(thawed_s) || ',' || quoted(thawed_by) || ',' || quoted(thaw_reason) || ',' || quoted(overridden) FROM freezes
UNION ALL
SELECT 'checkpoint', n, quoted(at_s) || ',' || quoted(seq) || ',' || quoted(hash) || ',' || quoted(balances) || ',' || quoted(tip_block) || ',' || quoted(tip_height) || ','
    || quoted(credits) || ',' || quoted(credits_hash) || ',' || quoted(chronicle) || ',' || quoted(chronicle_hash) FROM checkpoints
UNION ALL
SELECT 'rekeying', n, quoted(wallet) || ',' || quoted(at_s) || ',' || quoted(old) || ',' || quoted(new) || ',' || quoted(who) || ',' || quoted(reason) FROM rekeyings;

-- Whoever names a row here has it written down.
CREATE VIEW chronicler (what, id) AS SELECT what, id FROM chronicle;
CREATE TRIGGER chronicler_writes INSTEAD OF INSERT ON chronicler
BEGIN
    INSERT INTO chronicle (n, what, id, says, previous, hash)
    SELECT head.n + 1, now.what, now.id, now.says, head.hash,
           sha256((head.n + 1) || ' ' || now.what || ' ' || now.id || ' ' || now.says || ' ' || head.hash)
    FROM chronicle_head AS head CROSS JOIN chronicled AS now WHERE now.what = NEW.what AND now.id = NEW.id;
END;

CREATE TRIGGER audits_are_chronicled AFTER INSERT ON audits
BEGIN INSERT INTO chronicler VALUES ('audit', NEW.id); END;
CREATE TRIGGER freezes_are_chronicled AFTER INSERT ON freezes
BEGIN INSERT INTO chronicler VALUES ('freeze', NEW.id); END;
CREATE TRIGGER thaws_are_chronicled AFTER UPDATE ON freezes
BEGIN INSERT INTO chronicler VALUES ('freeze', NEW.id); END;
CREATE TRIGGER checkpoints_are_chronicled AFTER INSERT ON checkpoints
BEGIN INSERT INTO chronicler VALUES ('checkpoint', NEW.n); END;
CREATE TRIGGER rekeyings_are_chronicled AFTER INSERT ON rekeyings
BEGIN INSERT INTO chronicler VALUES ('rekeying', NEW.n); END;

-- Of an older store, what is found: what was changed before shows no more.
INSERT INTO chronicler SELECT 'audit', id FROM audits ORDER BY id;
INSERT INTO chronicler SELECT 'freeze', id FROM freezes ORDER BY id;
INSERT INTO chronicler SELECT 'checkpoint', n FROM checkpoints ORDER BY n;
INSERT INTO chronicler SELECT 'rekeying', n FROM rekeyings ORDER BY n;
