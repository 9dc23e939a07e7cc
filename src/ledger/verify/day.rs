//! One day of the ledger read again, before a statement of it is signed: what it costs is the size of the day, not of the history.
//!
//! Of what came before, the day's own chain, and what all days say together, is all that is looked at: the rest is for a verification.

use sha2::{Digest, Sha256};

use super::days::Days;
use super::{Fault, records};
use crate::coin::{Day, Timestamp};
use crate::ledger::canonical::Fields;
use crate::ledger::records::head;
use crate::store::{StoreError, Tx};

/// Reads the postings of a day; the first thing that is wrong.
pub(in crate::ledger) fn day(tx: &Tx<'_>, day: Day) -> Result<Option<Fault>, StoreError> {
    if let Some(words) = records::misnumbered(tx)? {
        return Ok(Some(Fault { seq: None, words }));
    }
    let (before, last) = records::reach_of(tx, day)?;
    let mut fault = span(tx, day, before, last)?;
    if before > 0 && fault.as_ref().is_some_and(|fault| fault.seq.is_none()) {
        // Where the clock went back, some of the day lies among what came before.
        fault = span(tx, day, 0, last)?;
    }
    let account = match fault {
        Some(fault) => return Ok(Some(fault)),
        None => records::unbalanced(tx)?,
    };
    Ok(account.map(|account| Fault {
        seq: None,
        words: format!("what all days moved is not the running balance of account {account}"),
    }))
}

/// Reads the postings from one to another, both included, and holds the day's among them against its sums.
fn span(tx: &Tx<'_>, day: Day, first: u64, last: u64) -> Result<Option<Fault>, StoreError> {
    let mut reader = Reader { day, previous: None, next: first.max(1), days: Days::default() };
    let mut fault = None;
    if last > 0 {
        records::each_posting_of(tx, (reader.next, last), |seq, posting| {
            let words = match posting {
                Ok((posting, hash)) => reader.take(&posting, hash)?,
                Err(words) => Some(format!("it cannot be read: {words}")),
            };
            fault = words.map(|words| Fault { seq: Some(seq), words });
            Ok(fault.is_some())
        })?;
    }
    if fault.is_some() {
        return Ok(fault);
    }
    if reader.next != last + 1 {
        let words = format!("posting {} is missing", reader.next);
        return Ok(Some(Fault { seq: Some(reader.next), words }));
    }
    if let Some(hash) = &reader.previous
        && !goes_on(tx, last, hash)?
    {
        let words = "what came after it does not follow it: it was changed or replaced".to_owned();
        return Ok(Some(Fault { seq: Some(last), words }));
    }
    let words = reader.days.compare(tx, (day.number(), day.number()))?;
    Ok(words.map(|words| Fault { seq: None, words }))
}

/// Whether the next posting, or the head of the ledger, names this hash.
fn goes_on(tx: &Tx<'_>, seq: u64, hash: &str) -> Result<bool, StoreError> {
    Ok(match records::previous_of(tx, seq + 1)? {
        Some(previous) => previous == hash,
        None => head(tx)? == (seq, hash.to_owned()),
    })
}

struct Reader {
    day: Day,
    /// The hash of the last posting; none before the first.
    previous: Option<String>,
    next: u64,
    days: Days,
}

impl Reader {
    /// Words if something is wrong with the next posting.
    fn take(&mut self, posting: &Fields<'_>, hash: &str) -> Result<Option<String>, StoreError> {
        if posting.seq != self.next {
            return Ok(Some(format!("posting {} is missing", self.next)));
        }
        if self.previous.as_ref().is_some_and(|previous| previous != posting.previous) {
            return Ok(Some("it does not follow the posting before: that one was changed or replaced".to_owned()));
        }
        let mut bytes = Vec::with_capacity(512);
        posting.write(&mut bytes)?;
        if hex::encode(Sha256::digest(&bytes)) != hash {
            return Ok(Some("it was changed after it was posted: its hash does not fit".to_owned()));
        }
        if Day::of(Timestamp(posting.time_s)) == self.day {
            self.days.add(posting);
        }
        (self.previous, self.next) = (Some(hash.to_owned()), self.next + 1);
        Ok(None)
    }
}
