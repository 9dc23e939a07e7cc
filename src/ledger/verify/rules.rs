//! What each posting has to keep of the promises of the ledger: pure, one after the other.

use std::collections::VecDeque;

use super::{Mark, Sums};
use crate::ledger::canonical::Fields;

/// What was read so far.
pub(super) struct Reader {
    pub(super) seq: u64,
    pub(super) hash: String,
    pub(super) event: u64,
    pub(super) events: u64,
    pub(super) sums: Sums,
    sum: i64,
    /// What has to fit, the oldest first.
    marks: VecDeque<Mark>,
    /// How many fitted.
    pub(super) fitted: u64,
    /// The last that did.
    last_fit: Option<String>,
}

impl Reader {
    pub(super) fn new(mut marks: Vec<Mark>) -> Reader {
        marks.sort_by_key(|mark| mark.seq);
        Reader {
            seq: 0,
            hash: "0".repeat(64),
            event: 0,
            events: 0,
            sums: Sums::default(),
            sum: 0,
            marks: marks.into(),
            fitted: 0,
            last_fit: None,
        }
    }

    /// Whether the next posting follows the last one; words if not.
    pub(super) fn follow(&self, posting: &Fields<'_>) -> Option<String> {
        if posting.seq != self.seq + 1 {
            return Some(format!("posting {} is missing", self.seq + 1));
        }
        (posting.previous != self.hash)
            .then(|| "it does not follow the posting before: that one was changed or replaced".to_owned())
    }

    /// Takes a posting that follows; words if something else is wrong with it.
    pub(super) fn take(&mut self, posting: &Fields<'_>, hash: &str) -> Option<String> {
        if posting.event != self.event {
            if let Some(words) = self.unfinished() {
                return Some(words);
            }
            if posting.event != posting.seq || posting.reverses.is_some_and(|reversed| reversed > self.event) {
                return Some("it refers to an event that is not there".to_owned());
            }
            self.event = posting.event;
            self.events += 1;
        }
        let Some(sum) = self.sum.checked_add(posting.amount) else {
            return Some("the sum of its event does not fit 64 bits".to_owned());
        };
        if !self.sums.add(posting.wallet, posting.account, posting.amount) {
            return Some(format!("with it, account {} does not fit 64 bits", posting.account.name()));
        }
        self.sum = sum;
        self.seq = posting.seq;
        self.hash.clear();
        self.hash.push_str(hash);
        self.compare()
    }

    /// Words if the last event is not whole.
    pub(super) fn unfinished(&self) -> Option<String> {
        (self.sum != 0).then(|| format!("the postings of event {} before it do not sum to zero", self.event))
    }

    /// Holds what was written down about this place against it.
    pub(super) fn compare(&mut self) -> Option<String> {
        while let Some(mark) = self.marks.pop_front_if(|mark| mark.seq <= self.seq) {
            let since = self.last_fit.as_ref().map(|fit| format!(", and after {fit}, which fits")).unwrap_or_default();
            let by = &mark.by;
            if mark.hash != self.hash {
                return Some(format!("{by} saw another posting here: the ledger was rewritten here or before{since}"));
            }
            if mark.balances != self.sums.digest() {
                return Some(format!("{by} saw other balances here, though the posting is the same"));
            }
            self.fitted += 1;
            self.last_fit = Some(mark.by);
        }
        None
    }

    /// Words if something was written down about postings that are not here.
    pub(super) fn cut_off(&self) -> Option<String> {
        let mark = self.marks.back()?;
        let (by, seen, last) = (&mark.by, mark.seq, self.seq);
        Some(format!(
            "{by} saw {seen} postings, and the ledger ends with {last}: its end was cut off, or an older ledger was copied into its place"
        ))
    }
}
