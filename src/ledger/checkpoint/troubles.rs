//! What may be the matter with exported checkpoints, and what a person does about it.

use std::collections::BTreeMap;

use super::Unclear;

/// What is the matter, the most telling first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trouble {
    /// We have no key to check them with.
    NoKey,
    /// The newest that was exported is not there.
    Missing,
    /// One is signed by another key than ours.
    OtherKey,
    /// One cannot be read, or was changed.
    Unreadable,
    /// One has the name of another.
    Misnamed,
}

impl Trouble {
    fn next(self) -> &'static str {
        match self {
            Trouble::NoKey => {
                "bring `signing.key` back, mode 600; of one that is gone for good, tell whoever checks signatures that there is a new one (`bursar ledger key`)"
            }
            Trouble::Missing => {
                "mount its disk, or bring the file back from a copy; if it is gone for good, `bursar ledger checkpoint` exports a new one"
            }
            Trouble::OtherKey => {
                "if you know of no new key, somebody else signed: see *Checkpoints* in the README. Else tell whoever checks signatures the new one \
                 (`bursar ledger key`), see that the others fit (`bursar ledger verify --checkpoint FILE --key THEIRS`), then move those to another folder"
            }
            Trouble::Unreadable => {
                "make folder and files readable; bring back from a copy what was changed or is missing, `.minisig` too, or move what is none of bursar's away"
            }
            Trouble::Misnamed => "give the file the name that bursar gave it, or move it to another folder",
        }
    }
}

/// All that is the matter.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    /// Of each kind the first, in words, and how many there are.
    found: BTreeMap<Trouble, (String, usize)>,
}

impl Troubles {
    pub(super) fn add(&mut self, trouble: Trouble, words: String) {
        self.found.entry(trouble).or_insert((words, 0)).1 += 1;
    }

    pub(super) fn has(&self, trouble: Trouble) -> bool {
        self.found.contains_key(&trouble)
    }

    /// All of it in words, with the next step of the most telling; none: nothing is the matter.
    pub(super) fn unclear(self) -> Option<Unclear> {
        let next = self.found.keys().next()?.next().to_owned();
        let words = self.found.into_values().map(|(words, count)| match count {
            1 => words,
            _ => format!("{words} (and {} more like it)", count - 1),
        });
        Some(Unclear { words: words.collect::<Vec<_>>().join("; "), next })
    }
}
