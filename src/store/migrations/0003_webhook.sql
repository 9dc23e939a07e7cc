-- How far the webhook's receiver has acknowledged payout_history.
CREATE TABLE webhook (
    one       INTEGER PRIMARY KEY CHECK (one = 1),
    delivered INTEGER NOT NULL                       -- payout_history.n up to which everything was delivered
) STRICT;
