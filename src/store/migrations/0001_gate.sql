-- Why payouts are frozen. A row is never deleted: it is thawed, with a name and a reason.
CREATE TABLE freezes (
    id          INTEGER PRIMARY KEY,
    cause       TEXT NOT NULL,
    detail      TEXT NOT NULL,
    txids       TEXT NOT NULL DEFAULT '[]',       -- JSON array
    amount      INTEGER,                          -- base units
    since_s     INTEGER NOT NULL,
    thawed_s    INTEGER,
    thawed_by   TEXT,
    thaw_reason TEXT,
    overridden  INTEGER NOT NULL DEFAULT 0 CHECK (overridden IN (0, 1)), -- 1: by a person, and the same finding does not freeze again
    CHECK ((thawed_s IS NULL) = (thawed_by IS NULL))
) STRICT;
CREATE INDEX freezes_open ON freezes (cause) WHERE thawed_s IS NULL;

