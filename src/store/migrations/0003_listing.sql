-- Pages of a list cost the same at a million payouts. by_state and by_batch are there already; each ends with seq by itself.
CREATE INDEX payouts_by_address ON payouts (address);
CREATE INDEX payouts_by_priority ON payouts (priority);
CREATE INDEX payouts_by_time ON payouts (submitted_s);

-- Where the host's clock went back between two submissions. While there is none, times rise with seq, and a time tells where to begin.
CREATE TABLE clock_steps (
    payout INTEGER PRIMARY KEY                       -- seq of the first payout after the step
) STRICT;
INSERT INTO clock_steps
SELECT seq FROM (SELECT seq, submitted_s < lag(submitted_s) OVER (ORDER BY seq) AS back FROM payouts) WHERE back;
CREATE TRIGGER payouts_notice_clock_steps AFTER INSERT ON payouts
    WHEN NEW.submitted_s < (SELECT submitted_s FROM payouts WHERE seq < NEW.seq ORDER BY seq DESC LIMIT 1)
    BEGIN INSERT INTO clock_steps VALUES (NEW.seq); END;

-- Payouts by state, counted as they move: what the queue holds is asked often, and must not cost more with every year of history.
-- Sums of amounts in two parts, so that no sum of valid payouts is too large for one number.
CREATE TABLE payout_totals (
    state       TEXT PRIMARY KEY,
    count       INTEGER NOT NULL CHECK (count >= 0),
    high_amount INTEGER NOT NULL,                    -- in units of 2^32 base units
    low_amount  INTEGER NOT NULL                     -- base units
) STRICT, WITHOUT ROWID;
INSERT INTO payout_totals
SELECT state, count(*), sum(amount >> 32), sum(amount & 0xffffffff) FROM payouts GROUP BY state;
CREATE TRIGGER payouts_are_counted AFTER INSERT ON payouts BEGIN
    INSERT INTO payout_totals VALUES (NEW.state, 1, NEW.amount >> 32, NEW.amount & 0xffffffff)
    ON CONFLICT DO UPDATE SET count = count + 1, high_amount = high_amount + excluded.high_amount,
                              low_amount = low_amount + excluded.low_amount;
END;
CREATE TRIGGER payouts_are_counted_on AFTER UPDATE OF state, amount ON payouts BEGIN
    UPDATE payout_totals SET count = count - 1, high_amount = high_amount - (OLD.amount >> 32),
                             low_amount = low_amount - (OLD.amount & 0xffffffff)
    WHERE state = OLD.state;
    INSERT INTO payout_totals VALUES (NEW.state, 1, NEW.amount >> 32, NEW.amount & 0xffffffff)
    ON CONFLICT DO UPDATE SET count = count + 1, high_amount = high_amount + excluded.high_amount,
                              low_amount = low_amount + excluded.low_amount;
END;
CREATE TRIGGER payouts_are_not_deleted BEFORE DELETE ON payouts
    BEGIN SELECT RAISE(ABORT, 'payouts are never deleted'); END;
