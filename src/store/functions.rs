//! What the schema's own triggers and views call besides SQLite's functions.

use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;
use rusqlite::types::ValueRef;
use sha2::{Digest, Sha256};

/// Adds `sha256(text)`, in hex; of nothing it is nothing.
pub(super) fn add(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function("sha256", 1, flags, |context| {
        Ok(match context.get_raw(0) {
            ValueRef::Null => None,
            text => Some(hex::encode(Sha256::digest(text.as_bytes()?))),
        })
    })
}
