-- How urgent a payout is: 0 high, 1 normal, 2 low (patient).
ALTER TABLE payouts ADD COLUMN priority INTEGER NOT NULL DEFAULT 1 CHECK (priority IN (0, 1, 2));
-- Whether the daemon accepted the address when the payout was submitted. It is asked again before sending, in any case.
ALTER TABLE payouts ADD COLUMN address_checked INTEGER NOT NULL DEFAULT 0 CHECK (address_checked IN (0, 1));
CREATE INDEX payouts_queue ON payouts (priority, seq) WHERE state = 'queued';
