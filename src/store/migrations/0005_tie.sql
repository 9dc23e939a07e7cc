-- What ties the log to the database file: see store/tie.rs.
ALTER TABLE store ADD COLUMN log_base INTEGER;                                            -- application_id in the file when the log was tied to it
ALTER TABLE store ADD COLUMN log_before INTEGER;                                          -- application_id by file and log at that time
