//! The table of wallets.

use rusqlite::params;

use crate::coin::Timestamp;
use crate::daemon::Tip;
use crate::ledger::records::place;
use crate::store::{StoreError, Tx};

/// A wallet that this ledger follows.
#[derive(Clone, Debug)]
pub(in crate::ledger) struct FollowedWallet {
    pub(in crate::ledger) name: String,
    /// It is the one that pays.
    pub(in crate::ledger) pays: bool,
    pub(in crate::ledger) fingerprint: Option<String>,
    pub(in crate::ledger) cursor: Option<Tip>,
    pub(in crate::ledger) tip: Option<Tip>,
    /// When it was last there.
    pub(in crate::ledger) synced: Option<Timestamp>,
}

fn select_wallets(tx: &Tx<'_>, condition: &str, parameters: impl rusqlite::Params) -> Result<Vec<FollowedWallet>, StoreError> {
    let mut statement = tx.prepare_cached(&format!(
        "SELECT name, pays, fingerprint, cursor_block, cursor_height, tip_block, tip_height, synced_s FROM wallets {condition}"
    ))?;
    let mut rows = statement.query(parameters)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(FollowedWallet {
            name: row.get(0)?,
            pays: row.get(1)?,
            fingerprint: row.get(2)?,
            cursor: place(row.get(3)?, row.get(4)?)?,
            tip: place(row.get(5)?, row.get(6)?)?,
            synced: row.get::<_, Option<i64>>(7)?.map(Timestamp),
        });
    }
    Ok(found)
}

pub(in crate::ledger) fn wallet(tx: &Tx<'_>, name: &str) -> Result<Option<FollowedWallet>, StoreError> {
    Ok(select_wallets(tx, "WHERE name = ?1", [name])?.pop())
}

pub(in crate::ledger) fn paying(tx: &Tx<'_>) -> Result<Option<FollowedWallet>, StoreError> {
    Ok(select_wallets(tx, "WHERE pays = 1", [])?.pop())
}

/// The paying one first.
pub(in crate::ledger) fn wallets(tx: &Tx<'_>) -> Result<Vec<FollowedWallet>, StoreError> {
    select_wallets(tx, "ORDER BY pays DESC, name", [])
}

pub(in crate::ledger) fn insert_wallet(
    tx: &Tx<'_>,
    (name, pays): (&str, bool),
    fingerprint: Option<&str>,
    opening_height: u64,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO wallets (name, pays, fingerprint, opened_s, opening_height) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![name, pays, fingerprint, now.0, opening_height],
    )?;
    Ok(())
}

/// Stands the ledger at `tip`, now. A fingerprint that was not known is learned; a known one is never replaced.
pub(in crate::ledger) fn move_wallet(
    tx: &Tx<'_>,
    name: &str,
    fingerprint: Option<&str>,
    cursor: Option<Tip>,
    (tip, now): (Tip, Timestamp),
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE wallets SET fingerprint = coalesce(fingerprint, ?2), cursor_block = ?3, cursor_height = ?4, tip_block = ?5,
         tip_height = ?6, synced_s = ?7 WHERE name = ?1",
        params![
            name,
            fingerprint,
            cursor.map(|cursor| cursor.hash.to_string()),
            cursor.map(|cursor| cursor.height),
            tip.hash.to_string(),
            tip.height,
            now.0
        ],
    )?;
    Ok(())
}

/// Up to here all is posted, though not yet up to a tip.
pub(in crate::ledger) fn move_cursor(tx: &Tx<'_>, name: &str, cursor: Tip) -> Result<(), StoreError> {
    let sql = "UPDATE wallets SET cursor_block = ?2, cursor_height = ?3 WHERE name = ?1";
    tx.execute(sql, params![name, cursor.hash.to_string(), cursor.height])?;
    Ok(())
}

/// A person's word replaces a known fingerprint, and is kept with it.
pub(in crate::ledger) fn replace_fingerprint(
    tx: &Tx<'_>,
    wallet: &str,
    (old, new): (Option<&str>, Option<&str>),
    (who, reason): (&str, &str),
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO rekeyings (wallet, at_s, old, new, who, reason) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![wallet, now.0, old, new, who, reason],
    )?;
    tx.execute("UPDATE wallets SET fingerprint = ?2 WHERE name = ?1", params![wallet, new])?;
    Ok(())
}
