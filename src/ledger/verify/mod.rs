//! Reads the whole ledger again and names the first posting that breaks a promise.
//!
//! Rows are read in place, and their hashes taken on a second thread: a million postings in about a second. The memory that it takes does not grow with the ledger.

mod day;
mod days;
mod hasher;
mod records;
mod references;
mod rules;
mod sums;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

pub(super) use self::day::day;
use self::days::Days;
use self::hasher::Hasher;
use self::references::References;
use self::rules::Reader;
pub(super) use self::sums::Sums;
use super::records::head;
use super::{Account, chain, chronicle, credit};
use crate::coin::Txid;
use crate::store::{StoreError, Tx, schema_fault};

/// What a verification found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyReport {
    /// Postings read.
    pub postings: u64,
    /// Events read.
    pub events: u64,
    /// Hash of the newest posting: keep it elsewhere, and nobody can rewrite what came before.
    pub head: String,
    /// Checkpoints that the ledger fits: its own, and those that were exported.
    #[serde(default)]
    pub checkpoints: u64,
    /// How many of them were read from files, exported or given; 0 where something is wrong.
    #[serde(default)]
    pub exported: u64,
    /// Credits and reversals of deposits that fit the postings.
    #[serde(default)]
    pub credits: u64,
    /// Rows of the chronicle that fit the audits, freezes, checkpoints and rekeyings that they tell of.
    #[serde(default)]
    pub chronicle: u64,
    /// Why the checkpoints in `ledger.checkpoints_dir` could not be looked at, or not all; none: they were, or there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unread: Option<String>,
    /// What a person does about what is wrong, or could not be looked at; none: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// The first thing that is wrong; none: the ledger is whole.
    pub fault: Option<Fault>,
}

/// Something in the ledger that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The posting at which it shows; none when it shows in no single one.
    pub seq: Option<u64>,
    /// What is wrong.
    pub words: String,
}

/// What somebody wrote down about the ledger when it had so many postings.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    /// How many.
    pub(super) seq: u64,
    /// The hash of the last.
    pub(super) hash: String,
    /// [`Sums::digest`] of the balances.
    pub(super) balances: String,
    /// The newest credit event then; none: that was not written down.
    pub(super) credits: Option<chain::Head>,
    /// The newest row of the chronicle then; none: that was not written down.
    pub(super) chronicle: Option<chain::Head>,
    /// Who, in words.
    pub(super) by: String,
}

/// Verifies the ledger, and that it is the one about which `marks` were written down.
pub(super) fn verify(tx: &Tx<'_>, marks: Vec<Mark>) -> Result<VerifyReport, StoreError> {
    let credit_marks = marks_of(&marks, |mark| mark.credits.clone());
    let chronicle_marks = marks_of(&marks, |mark| mark.chronicle.clone());
    let (mut reader, mut references, mut days) = (Reader::new(marks), References::new(), Days::default());
    let first = records::misnumbered(tx)?.or_else(|| reader.compare()).map(|words| Fault { seq: None, words });
    let fault = match first {
        Some(fault) => Some(fault),
        None => read(tx, &mut reader, &mut references, &mut days)?,
    };
    let reversed = std::mem::take(&mut references.reversed);
    let fault = match fault {
        Some(fault) => Some(fault),
        None => end(tx, &reader, references, days)?,
    };
    let (credits, fault) = match fault {
        Some(fault) => (0, Some(fault)),
        None => credits(tx, &reversed, credit_marks)?,
    };
    let (chronicle, fault) = match fault {
        Some(fault) => (0, Some(fault)),
        None => beside(tx, chronicle_marks)?,
    };
    Ok(VerifyReport {
        postings: reader.seq,
        events: reader.events,
        head: reader.hash,
        checkpoints: reader.fitted,
        credits,
        chronicle,
        exported: 0,
        unread: None,
        next: None,
        fault,
    })
}

/// What was written down about one of the chains.
fn marks_of(marks: &[Mark], head: impl Fn(&Mark) -> Option<chain::Head>) -> Vec<chain::Mark> {
    marks.iter().filter_map(|mark| Some(chain::Mark { head: head(mark)?, by: mark.by.clone() })).collect()
}

/// Reads every posting, until one is wrong.
fn read(tx: &Tx<'_>, reader: &mut Reader, references: &mut References, days: &mut Days) -> Result<Option<Fault>, StoreError> {
    std::thread::scope(|scope| {
        let mut hasher = Hasher::start(scope);
        let mut fault = None;
        records::each_posting(tx, |seq, posting| {
            let words = match posting {
                Err(words) => Some(format!("it cannot be read: {words}")),
                Ok((posting, hash)) => match reader.follow(&posting) {
                    Some(words) => Some(words),
                    None => {
                        hasher.take(&posting, hash)?;
                        references.note(tx, &posting)?;
                        days.add(&posting);
                        reader.take(&posting, hash)
                    }
                },
            };
            fault = words.map(|words| Fault { seq: Some(seq), words });
            Ok(fault.is_some() || hasher.wrong().is_some())
        })?;
        // What it finds is never behind what shows here: only what follows well was given to it.
        let changed = "it was changed after it was posted: its hash does not fit";
        Ok(hasher.end().map(|seq| Fault { seq: Some(seq), words: changed.to_owned() }).or(fault))
    })
}

/// What only shows at the end: a cut-off tail, an unfinished event, sums and index that do not fit.
fn end(tx: &Tx<'_>, reader: &Reader, references: References, days: Days) -> Result<Option<Fault>, StoreError> {
    let next = Some(reader.seq + 1);
    let (seq, hash) = head(tx)?;
    if (seq, &hash) != (reader.seq, &reader.hash) {
        let newest = super::Head { seq: reader.seq, hash: reader.hash.clone() };
        let words = newest.is_not(&super::Head { seq, hash }, "postings");
        return Ok(Some(Fault { seq: next.filter(|_| seq > reader.seq), words }));
    }
    if let Some(words) = reader.unfinished() {
        return Ok(Some(Fault { seq: Some(reader.event), words }));
    }
    if let Some(words) = reader.cut_off() {
        return Ok(Some(Fault { seq: next, words }));
    }
    let words = match running_balances(tx, &reader.sums)? {
        Some(words) => Some(words),
        None => references.end(tx, &reader.sums)?,
    };
    let words = match words {
        Some(words) => Some(words),
        None => records::miscounted(tx)?
            .map(|wallet| format!("the count of transactions of wallet '{wallet}' is not how many there are")),
    };
    let words = match words {
        Some(words) => Some(words),
        None => days.compare(tx, (i64::MIN, i64::MAX))?,
    };
    Ok(words.map(|words| Fault { seq: None, words }))
}

/// Whether credits and reversals fit the postings and the checkpoints.
fn credits(tx: &Tx<'_>, reversed: &HashSet<Txid>, marks: Vec<chain::Mark>) -> Result<(u64, Option<Fault>), StoreError> {
    let (events, words) = credit::verify(tx, reversed, marks)?;
    Ok((events, words.map(|words| Fault { seq: None, words })))
}

/// What is kept beside the books: the chronicle, the schema, which forbids what must not happen to any of it, and the store's id.
fn beside(tx: &Tx<'_>, marks: Vec<chain::Mark>) -> Result<(u64, Option<Fault>), StoreError> {
    let (rows, words) = chronicle::verify(tx, marks)?;
    let words = match words {
        Some(words) => Some(words),
        None => schema_fault(tx)?,
    };
    let words = match words {
        Some(words) => Some(words),
        None => records::id_fault(tx)?,
    };
    Ok((rows, words.map(|words| Fault { seq: None, words })))
}

/// The running balances, without adding up anything.
pub(super) fn running_sums(tx: &Tx<'_>) -> Result<Sums, StoreError> {
    let mut sums = Sums::default();
    for (wallet, name, amount) in records::balances(tx)? {
        let account = Account::from_name(&name).filter(|account| sums.add(&wallet, *account, amount));
        account.ok_or_else(|| StoreError::Damaged(format!("table balances: account '{name}' of wallet '{wallet}'")))?;
    }
    Ok(sums)
}

/// What the running balances say against the sums of the postings, in words.
fn running_balances(tx: &Tx<'_>, sums: &Sums) -> Result<Option<String>, StoreError> {
    let (running, added) = (records::balances(tx)?, sums.all());
    let sum_of = |wallet: &str, account: &str| {
        added.iter().find(|(of, name, _)| (*of, *name) == (wallet, account)).map_or(0, |(_, _, sum)| *sum)
    };
    if let Some((_, account, _)) = running.iter().find(|(wallet, account, amount)| sum_of(wallet, account) != *amount) {
        return Ok(Some(format!("the running balance of account {account} is not the sum of its postings")));
    }
    let runs =
        |wallet: &str, account: &str| running.iter().any(|(of, name, _)| (of.as_str(), name.as_str()) == (wallet, account));
    let missing = added.iter().find(|(wallet, account, _)| !runs(wallet, account));
    Ok(missing.map(|(_, account, _)| format!("account {account} has postings and no running balance")))
}
