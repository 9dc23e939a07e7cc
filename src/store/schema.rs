//! Whether the store's tables, indexes, triggers and views are those that the migrations make: a trigger that is away forbids nothing.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use rusqlite::Connection;

use super::{StoreError, Tx, functions, migrate};

/// Kind and name, and the words that make it, to the letter: a quote or a line's end more, and words that forbid something are a mere text, or a comment.
type Schema = BTreeMap<(String, String), String>;

/// The first thing in the schema that is not as this bursar makes it, in words.
pub(crate) fn fault(tx: &Tx<'_>) -> Result<Option<String>, StoreError> {
    // Made once: a program makes the same at all times.
    static MADE: OnceLock<Schema> = OnceLock::new();
    let expected = match MADE.get() {
        Some(made) => made,
        None => {
            let made = make()?;
            MADE.get_or_init(|| made)
        }
    };
    Ok(difference(expected, &read(tx)?))
}

/// What the migrations come to.
fn make() -> Result<Schema, StoreError> {
    let mut made = Connection::open_in_memory()?;
    functions::add(&made)?;
    migrate(&mut made, "memory".as_ref())?;
    read(&made)
}

fn difference(expected: &Schema, found: &Schema) -> Option<String> {
    let missing = expected.iter().find_map(|((kind, name), words)| match found.get(&(kind.clone(), name.clone())) {
        None => Some(format!("{kind} '{name}' of the store is missing")),
        Some(other) if other != words => Some(format!("{kind} '{name}' of the store is not as bursar makes it")),
        Some(_) => None,
    });
    let further = || found.keys().find(|key| !expected.contains_key(key));
    let words = missing.or_else(|| further().map(|(kind, name)| format!("{kind} '{name}' of the store is none of bursar's")))?;
    Some(format!("{words}: somebody changed the schema, and what it forbids may have been done"))
}

fn read(connection: &Connection) -> Result<Schema, StoreError> {
    // What SQLite makes for itself has no words, or is a table of statistics, which may be there or not. No other name is its own: somebody who makes the
    // schema writable can give any.
    let sql = "SELECT type, name, sql FROM main.sqlite_schema
               WHERE sql IS NOT NULL AND NOT (type = 'table' AND name IN ('sqlite_stat1', 'sqlite_stat4'))";
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{MIGRATIONS, Store};

    fn fault_of(store: &mut Store) -> Option<String> {
        store.read(fault).unwrap()
    }

    #[test]
    fn a_store_that_came_through_every_version_is_as_a_new_one() {
        for version in 0..=MIGRATIONS.len() {
            let dir = tempfile::tempdir().unwrap();
            let connection = Connection::open(dir.path().join(super::super::FILE)).unwrap();
            functions::add(&connection).unwrap();
            MIGRATIONS[..version].iter().for_each(|sql| connection.execute_batch(sql).unwrap());
            connection.pragma_update(None, "user_version", version as u32).unwrap();
            connection.execute_batch("ANALYZE").unwrap();
            drop(connection);
            assert_eq!(fault_of(&mut Store::open(dir.path()).unwrap()), None, "version {version}");
        }
    }

    #[test]
    fn what_is_missing_changed_or_added_is_named() {
        let checks = "PRAGMA writable_schema = ON;
                      UPDATE sqlite_schema SET sql = replace(sql, 'CHECK (amount > 0)', '') WHERE name = 'credits'; PRAGMA writable_schema = RESET";
        let weaker = "DROP TRIGGER entries_never_go; CREATE TRIGGER entries_never_go BEFORE DELETE ON entries WHEN 0 BEGIN SELECT RAISE(ABORT, 'no'); END";
        let added = "CREATE TRIGGER more AFTER INSERT ON entries BEGIN DELETE FROM entries; END";
        let disguised = "PRAGMA writable_schema = ON;
                         INSERT INTO sqlite_schema VALUES ('trigger', 'sqlite_more', 'entries', 0,
                             'CREATE TRIGGER sqlite_more AFTER INSERT ON entries BEGIN DELETE FROM entries; END'); PRAGMA writable_schema = RESET";
        // Its own words, as a text that is selected.
        let mute = "PRAGMA writable_schema = ON;
                    UPDATE sqlite_schema SET sql = replace(replace(sql, 'RAISE', '\"RAISE'), 'deleted'')', 'deleted'')\"') WHERE name = 'entries_never_go';
                    PRAGMA writable_schema = RESET";
        // The same words, and those behind a line's end in a comment.
        let commented = "PRAGMA writable_schema = ON;
                         UPDATE sqlite_schema SET sql = replace(sql, 'BEGIN', 'BEGIN --') WHERE name = 'entries_are_summed'; PRAGMA writable_schema = RESET";
        for (change, words) in [
            ("DROP TRIGGER audits_never_change", "trigger 'audits_never_change' of the store is missing"),
            ("DROP INDEX credits_event", "index 'credits_event' of the store is missing"),
            ("DROP VIEW chronicled", "view 'chronicled' of the store is missing"),
            (weaker, "trigger 'entries_never_go' of the store is not as bursar makes it"),
            (checks, "table 'credits' of the store is not as bursar makes it"),
            (added, "trigger 'more' of the store is none of bursar's"),
            (disguised, "trigger 'sqlite_more' of the store is none of bursar's"),
            (mute, "trigger 'entries_never_go' of the store is not as bursar makes it"),
            (commented, "trigger 'entries_are_summed' of the store is not as bursar makes it"),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let mut store = Store::open(dir.path()).unwrap();
            store.connection.execute_batch(change).unwrap();
            let found = fault_of(&mut store).unwrap_or_else(|| panic!("{change}"));
            assert!(found.starts_with(words), "{change}: {found}");
        }
    }
}
