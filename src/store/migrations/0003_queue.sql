-- How urgent a payout is: 0 high, 1 normal, 2 low (patient).
ALTER TABLE payouts ADD COLUMN priority INTEGER NOT NULL DEFAULT 1 CHECK (priority IN (0, 1, 2));
CREATE INDEX payouts_queue ON payouts (priority, seq) WHERE state = 'queued';
