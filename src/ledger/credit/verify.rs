//! Reads all events again, and names the first that breaks a promise.

use std::collections::HashSet;

use super::records::{self, Read};
use super::{CreditEvent, CreditKind, canonical};
use crate::coin::Txid;
use crate::store::{StoreError, Tx};

/// Reads every event. `reversed`: transactions of which the ledger took an event back, so that they may have been posted more than once.
/// Returns how many there are, and the first thing that is wrong, in words.
pub(in crate::ledger) fn verify(tx: &Tx<'_>, reversed: &HashSet<Txid>) -> Result<(u64, Option<String>), StoreError> {
    let (mut seq, mut hash, mut reversals, mut again_credited) = (0, "0".repeat(64), 0, 0);
    let mut wrong = None;
    records::each(tx, |read| {
        let number = read.event.seq;
        let fault = follows(&read.event, seq, &hash)?.or_else(|| misfit(&read));
        let fault = match fault {
            None if read.event.follows.is_none() && reversed.contains(&read.event.txid) => again(tx, &read.event)?,
            fault => fault,
        };
        wrong = fault.map(|words| format!("credit event {number}: {words}"));
        match (read.event.kind, read.event.follows) {
            (CreditKind::Reversal, _) => reversals += 1,
            (CreditKind::Credit, Some(_)) => again_credited += 1,
            (CreditKind::Credit, None) => {}
        }
        (seq, hash) = (number, read.event.hash);
        Ok(wrong.is_none())
    })?;
    if wrong.is_some() {
        return Ok((seq, wrong));
    }
    let head = records::head(tx)?;
    if (head.seq, &head.hash) != (seq, &hash) {
        return Ok((seq, Some(format!("credit events {} to {} are missing from the end", seq + 1, head.seq))));
    }
    let standing = records::standing(tx)?;
    if (standing.reversals, standing.outstanding) != (reversals, reversals - again_credited) {
        return Ok((seq, Some("the count of reversals is not that of the credit events".to_owned())));
    }
    Ok((seq, records::stray_wait(tx)?))
}

/// Whether it stands behind the one before, unchanged; words if not.
fn follows(event: &CreditEvent, seq: u64, hash: &str) -> Result<Option<String>, StoreError> {
    Ok(if event.seq != seq + 1 {
        Some(format!("event {} is missing", seq + 1))
    } else if event.previous != hash {
        Some("it does not follow the event before: that one was changed or replaced".to_owned())
    } else if canonical::hash(event)? != event.hash {
        Some("it was changed after it was written: its hash does not fit".to_owned())
    } else {
        None
    })
}

/// Whether it fits the posting that it is about, and the event that it follows; words if not.
fn misfit(read: &Read) -> Option<String> {
    let Read { event, posted, followed } = read;
    if !posted {
        return Some("the ledger has no such deposit".to_owned());
    }
    match (event.kind, event.follows, followed) {
        (CreditKind::Credit, None, _) => None,
        (CreditKind::Credit, Some(_), Some(CreditKind::Reversal)) | (CreditKind::Reversal, _, Some(CreditKind::Credit)) => None,
        _ => Some("it follows an event that is not there, or not of the same output".to_owned()),
    }
}

/// Whether another event credited the same output for the first time, too.
fn again(tx: &Tx<'_>, event: &CreditEvent) -> Result<Option<String>, StoreError> {
    let all = records::of_transaction(tx, &event.wallet, &event.txid)?;
    let twice = all.iter().any(|other| other.seq < event.seq && other.vout == event.vout && other.follows.is_none());
    Ok(twice.then(|| "its output was credited before, and nothing tells of it".to_owned()))
}
