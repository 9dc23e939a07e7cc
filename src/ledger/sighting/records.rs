//! The table of sightings.

use std::collections::BTreeSet;

use rusqlite::params;

use super::{Holdings, Sighting};
use crate::coin::{Timestamp, Txid};
use crate::store::{StoreError, Tx};

/// The record of a wallet; none before the first comparison.
pub fn last(tx: &Tx<'_>, wallet: &str) -> Result<Option<Sighting>, StoreError> {
    let mut statement =
        tx.prepare_cached("SELECT tx_count, addresses, at_s, found_tx_count, found_addresses FROM sightings WHERE wallet = ?1")?;
    let mut rows = statement.query([wallet])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(Some(Sighting {
        known: Holdings { tx_count: row.get(0)?, addresses: row.get(1)? },
        at: Timestamp(row.get(2)?),
        found: Holdings { tx_count: row.get(3)?, addresses: row.get(4)? },
    }))
}

pub(super) fn put(tx: &Tx<'_>, wallet: &str, sighting: &Sighting) -> Result<(), StoreError> {
    let Sighting { known, at, found } = sighting;
    tx.execute(
        "INSERT INTO sightings (wallet, tx_count, addresses, at_s, found_tx_count, found_addresses)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (wallet) DO UPDATE SET tx_count = ?2, addresses = ?3, at_s = ?4, found_tx_count = ?5, found_addresses = ?6",
        params![wallet, known.tx_count, known.addresses, at.0, found.tx_count, found.addresses],
    )?;
    Ok(())
}

pub(super) fn grow(tx: &Tx<'_>, wallet: &str, tx_count: u64, now: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE sightings SET tx_count = ?2, at_s = ?3 WHERE wallet = ?1 AND tx_count < ?2",
        params![wallet, tx_count, now.0],
    )?;
    Ok(())
}

/// Transactions that the wallet may rightly forget: strangers' that never confirmed, and dead ones.
pub(super) fn may_go(tx: &Tx<'_>, wallet: &str) -> Result<BTreeSet<Txid>, StoreError> {
    let mut statement = tx.prepare_cached("SELECT txid FROM transactions WHERE wallet = ?1 AND state IN ('pending', 'dead')")?;
    let mut rows = statement.query([wallet])?;
    let mut found = BTreeSet::new();
    while let Some(row) = rows.next()? {
        let txid: String = row.get(0)?;
        found.insert(txid.parse().map_err(|error| StoreError::Damaged(format!("table transactions: {error}")))?);
    }
    Ok(found)
}

/// What was found last of a followed wallet (none: of the one that is not) becomes the record.
pub(super) fn accept(tx: &Tx<'_>, followed: Option<&str>, now: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE sightings SET tx_count = found_tx_count, addresses = found_addresses, at_s = ?1
         WHERE CASE WHEN ?2 IS NULL THEN wallet NOT IN (SELECT name FROM wallets WHERE pays = 0) ELSE wallet = ?2 END",
        params![now.0, followed],
    )?;
    Ok(())
}
