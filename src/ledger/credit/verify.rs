//! Reads all events again, and names the first that breaks a promise.

use std::collections::HashSet;

use super::records::{self, Read};
use super::{CreditEvent, CreditKind, Head, canonical};
use crate::coin::{Timestamp, Txid};
use crate::ledger::chain::{Mark, Marks, Names};
use crate::store::{StoreError, Tx};

const NAMES: Names = Names { one: "event", several: "credit events", all: "the chain of credits" };

/// What the events come to.
#[derive(Default)]
struct Counted {
    reversals: u64,
    again_credited: u64,
    last_reversal: Option<Timestamp>,
}

/// Reads every event, and holds `marks` against them. `reversed`: transactions of which the ledger took an event back, so that they may have been posted
/// more than once. Returns how many there are, and the first thing that is wrong, in words.
pub(in crate::ledger) fn verify(
    tx: &Tx<'_>,
    reversed: &HashSet<Txid>,
    marks: Vec<Mark>,
) -> Result<(u64, Option<String>), StoreError> {
    let mut marks = Marks::new(NAMES, marks);
    let (mut last, mut counted) = (Head::none(), Counted::default());
    let mut wrong = marks.compare(&last);
    if wrong.is_some() {
        return Ok((0, wrong));
    }
    records::each(tx, |read| {
        let fault = follows(&read.event, &last)?.or_else(|| misfit(&read));
        let fault = match fault {
            None if read.event.follows.is_none() && reversed.contains(&read.event.txid) => again(tx, &read.event)?,
            fault => fault,
        };
        match (read.event.kind, read.event.follows) {
            (CreditKind::Reversal, _) => {
                (counted.reversals, counted.last_reversal) = (counted.reversals + 1, Some(read.event.time));
            }
            (CreditKind::Credit, Some(_)) => counted.again_credited += 1,
            (CreditKind::Credit, None) => {}
        }
        last = Head { seq: read.event.seq, hash: read.event.hash };
        wrong = fault.or_else(|| marks.compare(&last)).map(|words| format!("credit event {}: {words}", last.seq));
        Ok(wrong.is_none())
    })?;
    let wrong = match wrong {
        Some(wrong) => Some(wrong),
        None => end(tx, &last, &counted, &marks)?,
    };
    Ok((last.seq, wrong))
}

/// What only shows at the end: a cut-off tail, sums that do not fit, and the deposits that wait.
fn end(tx: &Tx<'_>, last: &Head, counted: &Counted, marks: &Marks) -> Result<Option<String>, StoreError> {
    let head = records::head(tx)?;
    if head != *last {
        return Ok(Some(last.is_not(&head, "credit events")));
    }
    if let Some(words) = marks.cut_off(last) {
        return Ok(Some(words));
    }
    let standing = records::standing(tx)?;
    if standing.last_reversal != counted.last_reversal {
        return Ok(Some("the time of the last reversal is not that of the credit events".to_owned()));
    }
    if (standing.reversals, standing.outstanding + counted.again_credited) != (counted.reversals, counted.reversals) {
        return Ok(Some("the count of reversals is not that of the credit events".to_owned()));
    }
    match records::stray_wait(tx)? {
        None if !records::adds_up(tx)? => records::missing(tx),
        stray => Ok(stray),
    }
}

/// Whether it stands behind the one before, unchanged; words if not.
fn follows(event: &CreditEvent, last: &Head) -> Result<Option<String>, StoreError> {
    Ok(if event.seq != last.seq + 1 {
        Some(format!("event {} is missing", last.seq + 1))
    } else if event.previous != last.hash {
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
