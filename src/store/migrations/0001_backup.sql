-- Archives that at least one destination took: the proof that an archive found somewhere is ours, unaltered.
CREATE TABLE backups (
    id           INTEGER PRIMARY KEY,
    archive      TEXT NOT NULL UNIQUE,            -- file name, the same in every destination
    created_s    INTEGER NOT NULL,
    sha256       TEXT NOT NULL CHECK (length(sha256) = 64),
    size_bytes   INTEGER NOT NULL CHECK (size_bytes > 0),
    destinations TEXT NOT NULL,                   -- JSON array: directory and what went wrong there
    complete     INTEGER NOT NULL CHECK (complete IN (0, 1)),
    fingerprint  TEXT,                            -- of the wallet, to tell when its keys are no longer in the last backup
    encrypted    INTEGER NOT NULL CHECK (encrypted IN (0, 1))
) STRICT;

-- Attempts of which no destination has an archive.
CREATE TABLE backup_failures (
    id      INTEGER PRIMARY KEY,
    at_s    INTEGER NOT NULL,
    problem TEXT NOT NULL
) STRICT;

-- Restores that were tried on a throwaway daemon.
CREATE TABLE drills (
    id        INTEGER PRIMARY KEY,
    started_s INTEGER NOT NULL,
    archive   TEXT NOT NULL,
    passed    INTEGER NOT NULL CHECK (passed IN (0, 1)),
    problem   TEXT NOT NULL,
    CHECK ((passed = 1) = (problem = ''))
) STRICT;
