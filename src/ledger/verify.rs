//! Reads the whole ledger again and names the first posting that breaks a promise.

use super::{Fault, Posting, VerifyReport, records};
use crate::coin::Amount;
use crate::store::{StoreError, Tx};

/// What was read so far.
struct Reader {
    seq: u64,
    hash: String,
    event: u64,
    events: u64,
    sum: Amount,
}

impl Reader {
    /// Takes the next posting; words if something is wrong with it.
    fn take(&mut self, posting: &Posting) -> Result<Option<String>, StoreError> {
        if posting.seq != self.seq + 1 {
            return Ok(Some(format!("posting {} is missing", self.seq + 1)));
        }
        if posting.previous != self.hash {
            return Ok(Some("it does not follow the posting before: that one was changed or replaced".to_owned()));
        }
        if records::hash(posting)? != posting.hash {
            return Ok(Some("it was changed after it was posted: its hash does not fit".to_owned()));
        }
        if posting.event != self.event {
            if self.sum != Amount::ZERO {
                return Ok(Some(format!("the postings of event {} before it do not sum to zero", self.event)));
            }
            if posting.event != posting.seq || posting.reverses.is_some_and(|reversed| reversed > self.event) {
                return Ok(Some("it refers to an event that is not there".to_owned()));
            }
            self.event = posting.event;
            self.events += 1;
        }
        let Ok(sum) = self.sum.checked_add(posting.amount) else {
            return Ok(Some("the sum of its event does not fit 64 bits".to_owned()));
        };
        self.sum = sum;
        self.seq = posting.seq;
        self.hash.clone_from(&posting.hash);
        Ok(None)
    }
}

pub(super) fn verify(tx: &Tx<'_>) -> Result<VerifyReport, StoreError> {
    let mut reader = Reader { seq: 0, hash: "0".repeat(64), event: 0, events: 0, sum: Amount::ZERO };
    let fault = records::each_posting(tx, |seq, posting| {
        let words = match &posting {
            Ok(posting) => reader.take(posting)?,
            Err(error) => Some(format!("it cannot be read: {error}")),
        };
        Ok(words.map(|words| Fault { seq: Some(seq), words }))
    })?;
    let fault = match fault {
        Some(fault) => Some(fault),
        None => end(tx, &reader)?,
    };
    Ok(VerifyReport { postings: reader.seq, events: reader.events, head: reader.hash, fault })
}

/// What only shows at the end: a cut-off tail, an unfinished event, sums and index that do not fit.
fn end(tx: &Tx<'_>, reader: &Reader) -> Result<Option<Fault>, StoreError> {
    let (seq, hash) = records::head(tx)?;
    if (seq, &hash) != (reader.seq, &reader.hash) {
        let words = format!("postings {} to {seq} are missing from the end", reader.seq + 1);
        return Ok(Some(Fault { seq: Some(reader.seq + 1), words }));
    }
    if reader.sum != Amount::ZERO {
        let words = format!("the postings of event {} do not sum to zero", reader.event);
        return Ok(Some(Fault { seq: Some(reader.event), words }));
    }
    Ok(records::first_mismatch(tx)?.map(|words| Fault { seq: None, words }))
}
