//! The wallet's whole listing against all that the ledger follows, in little memory: the listing goes to a scratch database, both are read
//! in the order of transaction ids, and only what is wrong is kept.
//!
//! It judges what does not move while the tip stands still: what is final in the ledger, and what the wallet has in a block and the ledger has not.
//! The rest is left to the reading, which is short: on a busy wallet two whole listings would never be equal.

mod digest;
mod records;

use std::collections::VecDeque;

use super::AuditError;
use super::suspects::Wrong;
use crate::coin::Txid;
use crate::daemon::{self, Entry, RpcError, Wallet};
use crate::ledger::{self, Followed, Seen, Standing, following};
use crate::store::Store;

use digest::Digest;
use records::Spool;

/// Rows of the ledger that are in memory at a time.
const PAGE: usize = 500;
/// Entries of one transaction that are kept together on their way to the disk: a few kilobytes, because sorting holds one row of each of its runs.
const TOGETHER: usize = 16;

/// Compares all that stands still; none when it did not: two listings around the comparison were not equal.
pub(super) fn judge(store: &mut Store, wallet: &dyn Wallet, name: &str) -> Result<Option<Wrong>, AuditError> {
    let spool = Spool::new(store)?;
    let before = spooled(wallet, &spool)?;
    let wrong = compare(store, wallet, name, &spool)?;
    let mut after = Digest::default();
    daemon::each_entry(wallet, None, |entry| {
        after.add(&entry);
        Ok::<_, RpcError>(())
    })?;
    Ok((before == after).then_some(wrong))
}

/// Whether [`judge`] judges it.
pub(super) fn judges(ledger: Option<&Followed>, wallet: Option<&Seen>) -> bool {
    match (ledger, wallet) {
        (Some(ledger), _) => ledger.is_final,
        (None, Some(seen)) => matches!(seen.standing, Standing::Block(_) | Standing::Immature(_)),
        (None, None) => false,
    }
}

fn spooled(wallet: &dyn Wallet, spool: &Spool) -> Result<Digest, AuditError> {
    let mut digest = Digest::default();
    let mut together: Vec<Entry> = Vec::new();
    daemon::each_entry(wallet, None, |entry| {
        digest.add(&entry);
        if together.len() >= TOGETHER || together.first().is_some_and(|first| first.txid != entry.txid) {
            spool.keep(&together)?;
            together.clear();
        }
        together.push(entry);
        Ok::<_, AuditError>(())
    })?;
    spool.keep(&together)?;
    Ok(digest)
}

/// Both sides in the order of transaction ids.
fn compare(store: &mut Store, wallet: &dyn Wallet, name: &str, spool: &Spool) -> Result<Wrong, AuditError> {
    let mut wrong = Wrong::default();
    let mut rows = Rows { wallet: name, page: VecDeque::new(), last: None, ended: false };
    spool.each(&mut |txid, entries| {
        while let Some(row) = rows.next_below(store, Some(&txid))? {
            judge_unlisted(wallet, &row, &mut wrong)?;
        }
        let seen = ledger::read_entries(&entries)?;
        let row = rows.next_if(&txid);
        if judges(row.as_ref(), Some(&seen)) {
            wrong.judge(txid, row.as_ref(), Some(&seen))?;
        }
        Ok(())
    })?;
    while let Some(row) = rows.next_below(store, None)? {
        judge_unlisted(wallet, &row, &mut wrong)?;
    }
    Ok(wrong)
}

/// Not every transaction that a wallet knows is in its listing.
fn judge_unlisted(wallet: &dyn Wallet, row: &Followed, wrong: &mut Wrong) -> Result<(), AuditError> {
    if row.event.is_none() || !judges(Some(row), None) {
        return Ok(());
    }
    let hidden = wallet.transaction(&row.txid)?.filter(|hidden| !hidden.entries.is_empty());
    let seen = hidden.map(|hidden| ledger::read_entries(&hidden.entries)).transpose()?;
    Ok(wrong.judge(row.txid, Some(row), seen.as_ref())?)
}

/// What the ledger follows, page by page. No transaction of the store lasts across a call to the daemon.
struct Rows<'a> {
    wallet: &'a str,
    page: VecDeque<Followed>,
    last: Option<Txid>,
    ended: bool,
}

impl Rows<'_> {
    /// The next one, if it comes before this id; any when none.
    fn next_below(&mut self, store: &mut Store, end: Option<&Txid>) -> Result<Option<Followed>, AuditError> {
        if self.page.is_empty() && !self.ended {
            self.page = store.read(|tx| following::page(tx, self.wallet, self.last.as_ref(), PAGE))?.into();
            self.ended = self.page.is_empty();
            self.last = self.page.back().map(|row| row.txid);
        }
        let comes = self.page.front().is_some_and(|row| end.is_none_or(|end| row.txid < *end));
        Ok(if comes { self.page.pop_front() } else { None })
    }

    /// The next one, if it is this. Asked after all below it were taken.
    fn next_if(&mut self, txid: &Txid) -> Option<Followed> {
        if self.page.front().is_some_and(|row| row.txid == *txid) { self.page.pop_front() } else { None }
    }
}
