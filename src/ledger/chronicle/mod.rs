//! The chronicle: what audits, freezes, checkpoints and rekeyings said when they were written, and when a freeze was thawed, as a chain of hashes.
//!
//! The store's own triggers write it, so that nothing is forgotten. Here it is read again: whether it is whole, and whether those rows still say what it says.

mod records;
#[cfg(test)]
mod tests;

use sha2::{Digest, Sha256};

use self::records::Row;
#[cfg(test)]
pub(crate) use self::records::{rewrite, tamper};
use super::chain::{Head, Mark, Marks, Names};
use crate::store::{StoreError, Tx};

const NAMES: Names = Names { one: "row", several: "rows of the chronicle", all: "the chronicle" };

/// The newest row.
pub(super) fn head(tx: &Tx<'_>) -> Result<Head, StoreError> {
    records::head(tx)
}

/// Reads all of it, and holds `marks` against it. Returns how many rows there are, and the first thing that is wrong, in words.
pub(super) fn verify(tx: &Tx<'_>, marks: Vec<Mark>) -> Result<(u64, Option<String>), StoreError> {
    let (mut marks, mut last) = (Marks::new(NAMES, marks), Head::none());
    let mut wrong = marks.compare(&last);
    if wrong.is_none() {
        records::each(tx, |row| {
            let fault = follows(&row, &last);
            last = Head { seq: row.n, hash: row.hash };
            wrong = fault.or_else(|| marks.compare(&last)).map(|words| format!("row {} of the chronicle: {words}", last.seq));
            wrong.is_none()
        })?;
    }
    let wrong = match wrong {
        Some(wrong) => Some(wrong),
        None => end(tx, &last, &marks)?,
    };
    Ok((last.seq, wrong))
}

/// What only shows at the end: a cut-off tail, and rows that say something else now.
fn end(tx: &Tx<'_>, last: &Head, marks: &Marks) -> Result<Option<String>, StoreError> {
    let head = records::head(tx)?;
    if head != *last {
        return Ok(Some(last.is_not(&head, "rows of the chronicle")));
    }
    if let Some(words) = marks.cut_off(last) {
        return Ok(Some(words));
    }
    match records::changed(tx)? {
        Some((what, id)) => Ok(Some(changed(&what, id))),
        None => Ok(records::deleted(tx)?.map(|(what, id)| deleted(&what, id))),
    }
}

/// Whether the audits from one number to another, both included (none: to the newest), are what the chronicle says of them; words if not. Takes as much as
/// they are many.
pub(crate) fn audits_fault(tx: &Tx<'_>, first: i64, last: Option<i64>) -> Result<Option<String>, StoreError> {
    let last = last.unwrap_or(i64::MAX);
    for (row, stands_behind) in records::of_audits(tx, first, last)? {
        if !stands_behind || hash(&row) != row.hash {
            return Ok(Some(format!("row {} of the chronicle was changed, or the one before it", row.n)));
        }
        if records::audit_says(tx, row.id)?.is_none() {
            return Ok(Some(deleted(&row.what, row.id)));
        }
    }
    Ok(records::changed_audit(tx, first, last)?.map(|id| changed("audit", id)))
}

/// Whether it stands behind the one before, unchanged; words if not.
fn follows(row: &Row, last: &Head) -> Option<String> {
    if row.n != last.seq + 1 {
        Some(format!("row {} is missing", last.seq + 1))
    } else if row.previous != last.hash {
        Some("it does not follow the row before: that one was changed or replaced".to_owned())
    } else if hash(row) != row.hash {
        Some("it was changed after it was written: its hash does not fit".to_owned())
    } else {
        None
    }
}

/// SHA-256, in hex, over number, kind, id, values and the hash before, with spaces between: as the trigger takes it.
fn hash(row: &Row) -> String {
    let Row { n, what, id, says, previous, .. } = row;
    hex::encode(Sha256::digest(format!("{n} {what} {id} {says} {previous}")))
}

fn changed(what: &str, id: i64) -> String {
    format!("{what} {id} is not what was written down of it: it was changed, or added, past bursar")
}

fn deleted(what: &str, id: i64) -> String {
    format!("{what} {id} is missing: it was written down, and deleted past bursar")
}
