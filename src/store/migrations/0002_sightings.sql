-- What the followed wallet was last known to hold: most transactions and most addresses that were seen since a person, or a repair, took
-- the wallet as it is. A daemon that put another file in the wallet's place shows fewer.
CREATE TABLE sightings (
    wallet          TEXT PRIMARY KEY,
    tx_count        INTEGER NOT NULL,
    addresses       INTEGER NOT NULL,
    at_s            INTEGER NOT NULL,              -- when either grew last
    found_tx_count  INTEGER NOT NULL,              -- at the last comparison
    found_addresses INTEGER NOT NULL
) STRICT;
