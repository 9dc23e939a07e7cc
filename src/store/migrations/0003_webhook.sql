-- How far the webhook's receiver has acknowledged payout_history. The row is made by the first opening with a webhook in the settings.
CREATE TABLE webhook (
    one             INTEGER PRIMARY KEY CHECK (one = 1),
    delivered       INTEGER NOT NULL,                -- payout_history.n up to which everything was delivered
    delivered_s     INTEGER,                         -- when something was delivered last
    failing_since_s INTEGER,                         -- since when deliveries fail; none: the last one did not
    last_error      TEXT                             -- why
) STRICT;
