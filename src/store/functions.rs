//! What the schema's own triggers and views call besides SQLite's functions.

use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;
use sha2::{Digest, Sha256};

/// Adds `sha256(text)`, in hex; of nothing it is nothing. And `quoted(value)`: a number, text or nothing as SQL writes it, as `quote` does; but of a text that
/// has a NUL in it, all.
pub(super) fn add(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function("sha256", 1, flags, |context| {
        Ok(match context.get_raw(0) {
            ValueRef::Null => None,
            text => Some(hex::encode(Sha256::digest(text.as_bytes()?))),
        })
    })?;
    connection.create_scalar_function("quoted", 1, flags, quoted)
}

fn quoted(context: &Context<'_>) -> rusqlite::Result<String> {
    Ok(match context.get_raw(0) {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        text => format!("'{}'", String::from_utf8_lossy(text.as_bytes()?).replace('\'', "''")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quoted_is_as_sqlite_quotes_it_but_to_its_end() {
        let connection = Connection::open_in_memory().unwrap();
        add(&connection).unwrap();
        let same = "SELECT quoted(?1) = quote(?1)";
        for text in ["", "it's", "'", "''x", "two\nlines \u{fffd} \\"] {
            assert!(connection.query_row(same, [text], |row| row.get::<_, bool>(0)).unwrap(), "{text}");
        }
        for number in [0, -1, i64::MIN, i64::MAX] {
            assert!(connection.query_row(same, [number], |row| row.get::<_, bool>(0)).unwrap(), "{number}");
        }
        assert!(connection.query_row(same, [None::<i64>], |row| row.get::<_, bool>(0)).unwrap());
        let whole = connection.query_row("SELECT quoted('a' || char(0) || 'b')", [], |row| row.get::<_, String>(0)).unwrap();
        assert_eq!(whole, "'a\0b'");
    }
}
