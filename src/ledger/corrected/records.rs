//! What the tables know of a person's words about a transaction.

use rusqlite::{OptionalExtension, params};

use super::super::Account;
use super::super::records::account_named;
use crate::coin::{Amount, Txid};
use crate::store::{StoreError, Tx};

pub(super) fn word(tx: &Tx<'_>, wallet: &str, txid: &Txid) -> Result<Option<Account>, StoreError> {
    let mut statement = tx.prepare_cached("SELECT account FROM words WHERE txid = ?1 AND wallet = ?2")?;
    let account: Option<String> = statement.query_row([txid.to_string().as_str(), wallet], |row| row.get(0)).optional()?;
    account.as_deref().map(account_named).transpose()
}

pub(super) fn put_word(tx: &Tx<'_>, wallet: &str, txid: &Txid, account: Account) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO words (txid, wallet, account) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET account = excluded.account",
        params![txid.to_string(), wallet, account.name()],
    )?;
    Ok(())
}

/// A word that does not hold any more. Returns what it said.
pub(in crate::ledger) fn forget(tx: &Tx<'_>, wallet: &str, txid: &Txid) -> Result<Option<Account>, StoreError> {
    let word = word(tx, wallet, txid)?;
    tx.execute("DELETE FROM words WHERE txid = ?1 AND wallet = ?2", params![txid.to_string(), wallet])?;
    Ok(word)
}

/// Whether both sides of it were met in two wallets of ours.
pub(in crate::ledger) fn was_transfer(tx: &Tx<'_>, txid: &Txid) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM entries WHERE txid = ?1 AND kind = 'transfer')";
    Ok(tx.prepare_cached(sql)?.query_row([txid.to_string()], |row| row.get(0))?)
}

/// What stands where a person put it: by events that say so and, where the transaction was posted again since, by what was claimed then. What a payment paid
/// to its own wallet is no part of that.
pub(in crate::ledger) fn by_word(
    tx: &Tx<'_>,
    wallet: &str,
    txid: &Txid,
    event: u64,
    claimed: Account,
) -> Result<Vec<(Account, Amount)>, StoreError> {
    let mut statement = tx.prepare_cached(
        "SELECT account, sum(amount) FROM entries e
         WHERE txid = ?1 AND wallet = ?2 AND event >= ?3 AND account NOT IN ('wallet', 'unexplained')
           AND (kind = 'explained' OR (kind = 'posting' AND category IN ('send', 'doubtful_fee') AND account = ?4
                AND NOT EXISTS (SELECT 1 FROM entries r WHERE r.event = e.event AND r.vout IS e.vout AND r.amount = -e.amount AND r.category = 'receive')))
         GROUP BY account HAVING sum(amount) <> 0 ORDER BY account",
    )?;
    let mut rows = statement.query(params![txid.to_string(), wallet, event, claimed.name()])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push((account_named(&row.get::<_, String>(0)?)?, Amount::from_base_units(row.get(1)?)));
    }
    Ok(found)
}

/// The event that said so last; the posting itself, where that followed the word.
pub(super) fn last_word(tx: &Tx<'_>, wallet: &str, txid: &Txid, event: u64) -> Result<u64, StoreError> {
    let sql =
        "SELECT coalesce(max(event), ?3) FROM entries WHERE txid = ?1 AND wallet = ?2 AND event >= ?3 AND kind = 'explained'";
    Ok(tx.prepare_cached(sql)?.query_row(params![txid.to_string(), wallet, event], |row| row.get(0))?)
}
