-- The last time that we opened the wallet's keys: written before, so that a crash leaves no open wallet behind.
CREATE TABLE unlock (
    one        INTEGER PRIMARY KEY CHECK (one = 1),
    opened_s   INTEGER NOT NULL,                     -- when the call was about to be made
    answered_s INTEGER NOT NULL,                     -- when it was answered; opened_s until then
    is_open    INTEGER NOT NULL CHECK (is_open IN (0, 1))  -- whether it is ours to close them
) STRICT;

-- The passphrase that the wallet did not take, by its file: it is not tried again until that changes or a person orders.
CREATE TABLE wrong_passphrase (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    file    TEXT NOT NULL,                           -- inode, length and times of the file; never what is in it
    tried_s INTEGER NOT NULL
) STRICT;
