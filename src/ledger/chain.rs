//! Rows that each carry the hash of the one before: the newest of them, and what somebody wrote down about it.

use std::cmp::Ordering;
use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// The newest row at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Its number; 0: there was none.
    pub seq: u64,
    /// Its hash; 64 zeros when there was none.
    pub hash: String,
}

impl Head {
    /// Before the first row.
    pub(super) fn none() -> Head {
        Head { seq: 0, hash: "0".repeat(64) }
    }

    /// What it means that this newest row of a chain is not the one that its head names, in words. `several`: what the rows are called.
    pub(super) fn is_not(&self, named: &Head, several: &str) -> String {
        match named.seq.cmp(&self.seq) {
            Ordering::Greater => format!("{several} {} to {} are missing from the end", self.seq + 1, named.seq),
            Ordering::Less => {
                format!("{several} go on to {}, and their head names {} as the newest: it was set back", self.seq, named.seq)
            }
            Ordering::Equal => {
                format!("the head of the {several} names another hash of the newest, {}: one of both was changed", self.seq)
            }
        }
    }
}

/// What somebody wrote down about the newest row.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    pub(super) head: Head,
    /// Who, in words.
    pub(super) by: String,
}

/// What a chain's rows are called.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names {
    /// One of them, with its number behind it.
    pub(super) one: &'static str,
    /// Several, counted.
    pub(super) several: &'static str,
    /// All together.
    pub(super) all: &'static str,
}

/// What has to fit a chain, the oldest first.
pub(super) struct Marks {
    names: Names,
    ahead: VecDeque<Mark>,
    /// The last that did.
    last_fit: Option<String>,
}

impl Marks {
    pub(super) fn new(names: Names, mut marks: Vec<Mark>) -> Marks {
        marks.sort_by_key(|mark| mark.head.seq);
        Marks { names, ahead: marks.into(), last_fit: None }
    }

    /// Holds what was written down about this row against it; words if it differs.
    pub(super) fn compare(&mut self, last: &Head) -> Option<String> {
        let Names { one, all, .. } = self.names;
        while let Some(mark) = self.ahead.pop_front_if(|mark| mark.head.seq <= last.seq) {
            let since = self.last_fit.as_ref().map(|fit| format!(", and after {fit}, which fits")).unwrap_or_default();
            if mark.head != *last {
                return Some(format!("{} saw another {one} here: {all} was rewritten here or before{since}", mark.by));
            }
            self.last_fit = Some(mark.by);
        }
        None
    }

    /// Words if something was written down about rows that are not here.
    pub(super) fn cut_off(&self, last: &Head) -> Option<String> {
        let Names { one, several, .. } = self.names;
        let mark = self.ahead.back()?;
        let (by, seen, last) = (&mark.by, mark.head.seq, last.seq);
        Some(format!(
            "{by} saw {seen} {several}, and they end with {last}: their end was cut off before {one} {}, or older ones were copied into their place",
            last + 1
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_that_is_not_the_newest_row_is_ahead_behind_or_other() {
        let head = |seq| Head { seq, hash: "a".repeat(64) };
        assert_eq!(head(127).is_not(&head(130), "rows"), "rows 128 to 130 are missing from the end");
        assert_eq!(
            head(129).is_not(&head(128), "rows"),
            "rows go on to 129, and their head names 128 as the newest: it was set back"
        );
        assert!(head(1).is_not(&head(1), "rows").contains("another hash of the newest, 1"));
    }
}
